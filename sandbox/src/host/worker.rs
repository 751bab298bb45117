//! A worker: one thread, one zygote, many children, one poll.

use std::{
    collections::{HashMap, VecDeque},
    os::fd::AsFd,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
};

use super::{
    link::Link,
    run::{self, Queued, Run},
    wake::Bell,
};
use crate::{
    limits::SandboxConfig,
    outcome::{Outcome, Report},
    zygote::{Fork, News},
};

const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// A job is given up as crashed when this many zygotes died under it: it may be what kills them.
const LOST_LIMIT: u32 = 2;
/// After this many zygotes lost in a row, waiting jobs are reported as crashed instead of waiting for the next one.
const PATIENCE_WITH_ZYGOTES: u32 = 5;

/// What `Sandbox::start` waits for: the first zygote is ready, or why not.
pub(crate) type Booted = Result<(), String>;

enum Zygote {
    /// Loading the engine, since.
    Booting(Link, Instant),
    Ready(Link),
    /// Dead; the next one starts then.
    Down(Instant),
}

impl Zygote {
    fn link(&self) -> Option<&Link> {
        match self {
            Zygote::Booting(link, _) | Zygote::Ready(link) => Some(link),
            Zygote::Down(_) => None,
        }
    }
}

pub(crate) struct Worker {
    config: SandboxConfig,
    jobs: Receiver<Queued>,
    bell: Arc<Bell>,
    booted: Option<Sender<Booted>>,
    zygote: Zygote,
    /// Zygotes that died in a row without having finished a run.
    failures: u32,
    runs: HashMap<u64, Run>,
    /// Jobs that a dying zygote took back before they ran. At most `children_per_worker`.
    again: VecDeque<Queued>,
    next_token: u64,
    chunk: Vec<u8>,
}

impl Worker {
    pub(crate) fn new(
        config: SandboxConfig,
        jobs: Receiver<Queued>,
        bell: Arc<Bell>,
        booted: Sender<Booted>,
    ) -> Worker {
        Worker {
            config,
            jobs,
            bell,
            booted: Some(booted),
            zygote: Zygote::Down(Instant::now()),
            failures: 0,
            runs: HashMap::new(),
            again: VecDeque::new(),
            next_token: 0,
            chunk: run::chunk(),
        }
    }

    /// Runs until told to stop and until everything accepted has been reported.
    pub(crate) fn work(mut self) {
        loop {
            while let Some(delivery) = self.bell.take_delivery() {
                if let Some(run) = self.runs.get_mut(&delivery.token) {
                    run.answer(delivery.index, delivery.answer);
                }
            }
            self.tend_zygote();
            self.enforce_deadlines();
            self.start_jobs();
            let idle = self.runs.is_empty() && self.again.is_empty() && self.jobs.is_empty();
            if self.bell.stopping() && idle {
                return;
            }
            self.wait();
        }
    }

    fn room(&self) -> bool {
        let computing = self.runs.values().filter(|run| run.computing()).count();
        matches!(self.zygote, Zygote::Ready(_))
            && self.runs.len() < self.config.children_per_worker
            && computing < self.config.running_per_worker
    }

    fn start_jobs(&mut self) {
        self.bell.set_hungry(false);
        while self.room() {
            let next = self.again.pop_front().or_else(|| self.jobs.try_recv().ok());
            let Some(queued) = next else {
                // Said first, looked again after: a job that comes between wakes us or is found.
                self.bell.set_hungry(true);
                let Ok(queued) = self.jobs.try_recv() else { return };
                self.bell.set_hungry(false);
                self.start_job(queued);
                continue;
            };
            self.start_job(queued);
        }
    }

    fn start_job(&mut self, queued: Queued) {
        let code_limit = queued.job.limits.code_bytes.min(self.config.limits.code_bytes);
        if queued.job.code.len() > code_limit as usize {
            return queued.report(Report::without_run(Outcome::CodeTooLarge));
        }
        let Zygote::Ready(link) = &self.zygote else { return self.again.push_back(queued) };
        let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let Ok((ours, theirs)) = pair else {
            tracing::error!("no descriptors left for a sandbox run");
            return queued.report(Report::without_run(Outcome::Crashed));
        };
        let token = self.next_token;
        self.next_token += 1;
        let limits = &queued.job.limits;
        let fork = Fork {
            token,
            memory_bytes: limits.memory_bytes.min(self.config.limits.memory_bytes),
            // Whole seconds, rounded up, and one more: the clock that counts is the host's.
            cpu_seconds: limits.wall_ms.div_ceil(1_000) + 1,
        };
        let patience = Duration::from_millis(self.config.zygote_patience_ms);
        let mut run = Run::new(queued, token, &self.config.limits, ours, patience);
        // The job goes ahead of the child, as far as the socket takes it.
        run.write();
        if link.fork(fork, theirs.as_fd()).is_err() {
            self.again.push_back(run.queued);
            return self.lose_zygote("does not take orders");
        }
        self.runs.insert(token, run);
    }

    fn enforce_deadlines(&mut self) {
        let now = Instant::now();
        let mut hung = false;
        for run in self.runs.values_mut().filter(|run| run.deadline <= now) {
            match (&run.ended, run.started()) {
                (None, true) => {
                    run.end(Outcome::TimedOut);
                }
                _ => hung = true,
            }
        }
        if hung {
            self.lose_zygote("hangs");
        }
    }

    fn tend_zygote(&mut self) {
        let now = Instant::now();
        match &self.zygote {
            Zygote::Ready(_) => {}
            Zygote::Booting(_, since) => {
                if now.duration_since(*since) > Duration::from_millis(self.config.zygote_patience_ms) {
                    self.lose_zygote("did not load the engine in time");
                }
            }
            Zygote::Down(until) if *until <= now => match Link::start(&self.config) {
                Ok(link) => self.zygote = Zygote::Booting(link, now),
                Err(error) => self.lose_zygote(&format!("does not start: {error}")),
            },
            Zygote::Down(_) => {}
        }
    }

    /// Replaces the zygote after a pause. Jobs that had not started run again; so do, once, those that had.
    fn lose_zygote(&mut self, why: &str) {
        self.failures += 1;
        let first = Duration::from_millis(self.config.zygote_backoff_ms);
        let pause = first.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST_BACKOFF);
        tracing::error!(why, failures = self.failures, ?pause, "a sandbox zygote is lost; it is replaced");
        self.zygote = Zygote::Down(Instant::now() + pause);
        if let Some(booted) = self.booted.take() {
            // Nobody listens any more when `Sandbox::start` gave up first.
            booted.send(Err(why.to_string())).ok();
        }
        for (_, mut run) in std::mem::take(&mut self.runs) {
            if run.ended.is_some() {
                run.finish(Duration::ZERO, 0);
                continue;
            }
            if run.started() {
                run.end(Outcome::Crashed);
                run.queued.lost += 1;
            }
            if run.queued.lost >= LOST_LIMIT {
                run.finish(Duration::ZERO, 0);
            } else {
                self.again.push_back(run.queued);
            }
        }
        if self.failures >= PATIENCE_WITH_ZYGOTES {
            while let Some(queued) = self.again.pop_front().or_else(|| self.jobs.try_recv().ok()) {
                queued.report(Report::without_run(Outcome::Crashed));
            }
        }
    }

    fn hear_zygote(&mut self) {
        loop {
            let news = match self.zygote.link().map(Link::news) {
                None | Some(Ok(None)) => return,
                Some(Ok(Some(news))) => news,
                Some(Err(_)) => return self.lose_zygote("died"),
            };
            match news {
                (News::Ready, _) => {
                    let pause = Zygote::Down(Instant::now());
                    if let Zygote::Booting(link, _) | Zygote::Ready(link) = std::mem::replace(&mut self.zygote, pause) {
                        self.zygote = Zygote::Ready(link);
                    }
                    if let Some(booted) = self.booted.take() {
                        booted.send(Ok(())).ok();
                    }
                }
                (News::Forked { token }, pidfd) => {
                    if let Some(run) = self.runs.get_mut(&token) {
                        run.start(pidfd);
                    }
                }
                (News::ForkFailed { token, errno }, _) => {
                    tracing::error!(errno, "a sandbox zygote cannot fork");
                    if let Some(mut run) = self.runs.remove(&token) {
                        run.end(Outcome::Crashed);
                        run.finish(Duration::ZERO, 0);
                    }
                }
                (News::Reaped { token, cpu_us, peak_bytes }, _) => {
                    self.failures = 0;
                    if let Some(mut run) = self.runs.remove(&token) {
                        // It may have spoken its last words before we came to listen.
                        run.drain(&mut self.chunk, &self.bell);
                        run.finish(Duration::from_micros(cpu_us), peak_bytes);
                    }
                }
            }
        }
    }

    /// Sleeps until something happens, and handles what the children and the zygote had to say.
    fn wait(&mut self) {
        let now = Instant::now();
        let mut until = self.runs.values().map(|run| run.deadline).min();
        match &self.zygote {
            Zygote::Down(then) => until = Some(until.map_or(*then, |until| until.min(*then))),
            Zygote::Booting(_, since) => {
                let then = *since + Duration::from_millis(self.config.zygote_patience_ms) + Duration::from_millis(1);
                until = Some(until.map_or(then, |until| until.min(then)));
            }
            Zygote::Ready(_) => {}
        }
        let timeout = until.map(|until| {
            let left = until.saturating_duration_since(now);
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
        });
        let mut tokens = Vec::with_capacity(self.runs.len());
        let mut fds = Vec::with_capacity(self.runs.len() + 2);
        let bell = self.bell.clone();
        let bell_fd = bell.fd();
        fds.push(PollFd::from_borrowed_fd(bell_fd, PollFlags::IN));
        let zygote_fd = self.zygote.link().map(Link::fd);
        fds.extend(zygote_fd.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        for (token, run) in self.runs.iter().filter(|(_, run)| run.ended.is_none()) {
            let wanted = if run.has_output() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            tokens.push(*token);
            fds.push(PollFd::from_borrowed_fd(run.fd(), wanted));
        }
        if poll(&mut fds, timeout.as_ref()).is_err() {
            // Interrupted: everything is looked at again.
            return;
        }
        let mut ready = fds.iter().map(|fd| fd.revents());
        let rang = ready.next().is_some_and(|events| !events.is_empty());
        let zygote = zygote_fd.is_some() && ready.next().is_some_and(|events| !events.is_empty());
        let ready: Vec<PollFlags> = ready.collect();
        drop(fds);
        if rang {
            self.bell.silence();
        }
        for (token, events) in tokens.into_iter().zip(ready) {
            let Some(run) = self.runs.get_mut(&token) else { continue };
            if events.contains(PollFlags::OUT) {
                run.write();
            }
            if events.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                run.read(&mut self.chunk, &self.bell);
            }
        }
        if zygote {
            self.hear_zygote();
        }
    }
}
