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
    greeting,
    link::Link,
    meter::Meter,
    run::{self, Origin, Queued, Run},
    template::{Fault, Template},
    templates::{Lost, Place, Templates},
    wake::Bell,
};
use crate::{
    limits::SandboxConfig,
    orders::{Fork, News, Order},
    outcome::{Outcome, Report},
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
    templates: Templates,
    /// Jobs that a dying zygote took back before they ran. At most `children_per_worker`.
    again: VecDeque<Queued>,
    next_token: u64,
    chunk: Vec<u8>,
    meter: Meter,
}

impl Worker {
    pub(crate) fn new(
        config: SandboxConfig,
        jobs: Receiver<Queued>,
        bell: Arc<Bell>,
        booted: Sender<Booted>,
    ) -> Worker {
        let templates = Templates::new(config.templates_bytes / config.workers.max(1) as u64);
        let meter = Meter::new(&config);
        Worker {
            config,
            templates,
            jobs,
            bell,
            booted: Some(booted),
            zygote: Zygote::Down(Instant::now()),
            failures: 0,
            runs: HashMap::new(),
            again: VecDeque::new(),
            next_token: 0,
            chunk: run::chunk(),
            meter,
        }
    }

    /// Runs until told to stop and until everything accepted has been reported.
    pub(crate) fn work(mut self) {
        loop {
            self.deliver();
            self.tend_zygote();
            self.take_back_forsaken();
            self.enforce_deadlines();
            self.start_jobs();
            let idle = self.runs.is_empty() && self.again.is_empty() && self.jobs.is_empty();
            if self.bell.stopping() && idle {
                return;
            }
            self.measure();
            self.wait();
        }
    }

    /// Hands answers to their runs. Those that are here together go together.
    fn deliver(&mut self) {
        let mut answered = Vec::new();
        while let Some(delivery) = self.bell.take_delivery() {
            let Some(run) = self.runs.get_mut(&delivery.token) else { continue };
            run.answer(delivery.index, delivery.answer);
            if answered.last() != Some(&delivery.token) {
                answered.push(delivery.token);
            }
        }
        for token in answered {
            if let Some(run) = self.runs.get_mut(&token) {
                run.write();
            }
        }
    }

    fn measure(&mut self) {
        let ready = matches!(self.zygote, Zygote::Ready(_));
        self.meter.show(ready, self.runs.len(), &self.templates, self.jobs.len());
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
        let limits = self.config.ceiling_of(&queued.job.limits);
        if queued.job.code.len() > limits.code_bytes as usize {
            return queued.report(Report::without_run(Outcome::CodeTooLarge));
        }
        let Zygote::Ready(link) = &self.zygote else { return self.again.push_back(queued) };
        let zygote = link.pid();
        let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let Ok((ours, theirs)) = pair else {
            tracing::error!("no descriptors left for a sandbox run");
            return queued.report(Report::without_run(Outcome::Crashed));
        };
        let origin = match self.templates.place(&queued.job.code, limits.code_nesting) {
            Place::Ready(template) if greeting::ask_for_names(&ours).is_ok() => Origin::Template { template, zygote },
            Place::Ready(_) | Place::None => Origin::Zygote,
            Place::Wanted { evaluates } => {
                self.make_template(queued.job.code.clone(), limits.code_nesting, evaluates);
                Origin::Zygote
            }
        };
        let token = self.new_token();
        // Whole seconds, rounded up, and one more: the clock that counts is the host's.
        let cpu_seconds = limits.wall_ms.div_ceil(1_000) + 1;
        let fork = Fork { token, memory_bytes: limits.memory_bytes, cpu_seconds };
        let patience = self.patience();
        let mut run = Run::new(queued, origin, token, limits, ours, patience);
        // The job goes ahead of the child, as far as the socket takes it.
        run.write();
        if let Origin::Template { template, .. } = origin {
            let forked = self.templates.get_mut(template).map(|template| template.fork(theirs.as_fd(), cpu_seconds));
            match forked {
                Some(Ok(())) => {
                    self.meter.forked(origin);
                    self.runs.insert(token, run);
                }
                Some(Err(fault)) => {
                    self.again.push_back(run.queued);
                    self.lose_template(template, &fault);
                }
                None => self.again.push_back(run.queued),
            }
            return;
        }
        let Zygote::Ready(link) = &self.zygote else { return self.again.push_back(run.queued) };
        if link.fork(Order::Run(fork), theirs.as_fd()).is_err() {
            self.again.push_back(run.queued);
            return self.lose_zygote("does not take orders");
        }
        self.meter.forked(origin);
        self.runs.insert(token, run);
    }

    fn new_token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.config.zygote_patience_ms)
    }

    /// Has the zygote fork a template. Until that has compiled the code, its runs do so themselves.
    fn make_template(&mut self, code: Arc<[u8]>, nesting: u32, evaluates: bool) {
        let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let Ok((ours, theirs)) = pair else { return };
        if rustix::io::ioctl_fionbio(&ours, true).is_err() {
            return;
        }
        let token = self.new_token();
        let Zygote::Ready(link) = &self.zygote else { return };
        if link.fork(Order::Template { token }, theirs.as_fd()).is_ok() {
            self.templates.insert(token, Template::new(code, nesting, evaluates, ours, self.patience()));
        }
    }

    /// Ends a template; its code gets no other, but for one that leaves evaluating to the runs when this one had still to
    /// evaluate. Runs that it did not fork yet come back by themselves.
    fn lose_template(&mut self, token: u64, fault: &Fault) {
        match self.templates.lose(token) {
            Lost::Nothing => {}
            Lost::Evaluation(code, nesting) => self.make_template(code, nesting, false),
            Lost::Template => {
                self.meter.lost_template();
                tracing::warn!(
                    fault = fault.0,
                    "a template of the sandbox is given up; its workflow is compiled in every run"
                );
            }
        }
    }

    /// Starts again what a template was to fork and did not.
    fn take_back_forsaken(&mut self) {
        let forsaken = self.runs.iter().filter(|(_, run)| run.forsaken).map(|(token, _)| *token);
        for token in forsaken.collect::<Vec<_>>() {
            let Some(mut run) = self.runs.remove(&token) else { continue };
            if let Origin::Template { template, .. } = run.origin {
                self.lose_template(template, &Fault("forked no run"));
            }
            run.queued.lost += 1;
            if run.queued.lost >= LOST_LIMIT {
                run.finish(Duration::ZERO, 0);
            } else {
                self.again.push_back(run.queued);
            }
        }
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
        let late =
            self.templates.iter().find(|(_, template)| template.deadline.is_some_and(|deadline| deadline <= now));
        if let Some((token, _)) = late {
            self.lose_template(token, &Fault("takes too long"));
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
                if now.duration_since(*since) > self.patience() {
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
        self.meter.lost_zygote();
        let first = Duration::from_millis(self.config.zygote_backoff_ms);
        let pause = first.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST_BACKOFF);
        tracing::error!(why, failures = self.failures, ?pause, "a sandbox zygote is lost; it is replaced");
        self.zygote = Zygote::Down(Instant::now() + pause);
        self.templates.clear();
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
                (News::Forked { token, pid }, pidfd) => {
                    if let Some(run) = self.runs.get_mut(&token) {
                        run.start(pidfd);
                    } else if let Some(template) = self.templates.get_mut(token) {
                        match pidfd {
                            Some(pidfd) => template.started(pid, pidfd),
                            None => self.lose_template(token, &Fault("cannot be named")),
                        }
                    }
                }
                (News::ForkFailed { token, errno }, _) => {
                    tracing::error!(errno, "a sandbox zygote cannot fork");
                    self.lose_template(token, &Fault("cannot be forked"));
                    if let Some(mut run) = self.runs.remove(&token) {
                        run.end(Outcome::Crashed);
                        run.finish(Duration::ZERO, 0);
                    }
                }
                (News::Reaped { token, cpu_us, peak_bytes }, _) => {
                    self.failures = 0;
                    self.lose_template(token, &Fault("died"));
                    self.finish(token, cpu_us, peak_bytes);
                }
                (News::Gone { pid, cpu_us, peak_bytes }, _) => {
                    self.failures = 0;
                    if let Some(token) = self.token_of(pid) {
                        self.finish(token, cpu_us, peak_bytes);
                    }
                }
            }
        }
    }

    fn finish(&mut self, token: u64, cpu_us: u64, peak_bytes: u64) {
        if let Some(mut run) = self.runs.remove(&token) {
            // It may have spoken its last words before we came to listen.
            run.drain(&mut self.chunk, &self.bell);
            run.finish(Duration::from_micros(cpu_us), peak_bytes);
        }
    }

    /// The run that is this process. The news of its end may be here before its first word was heard.
    fn token_of(&mut self, pid: u32) -> Option<u64> {
        let find =
            |runs: &HashMap<u64, Run>| runs.iter().find(|(_, run)| run.pid == Some(pid)).map(|(token, _)| *token);
        find(&self.runs).or_else(|| {
            let unheard = self.runs.values_mut().filter(|run| run.pid.is_none() && run.origin != Origin::Zygote);
            unheard.for_each(|run| {
                run.read(&mut self.chunk, &self.bell);
            });
            find(&self.runs)
        })
    }

    /// Sleeps until something happens, and handles what the children and the zygote had to say.
    fn wait(&mut self) {
        let now = Instant::now();
        let of_templates = self.templates.iter().filter_map(|(_, template)| template.deadline);
        let mut until = self.runs.values().map(|run| run.deadline).chain(of_templates).min();
        match &self.zygote {
            Zygote::Down(then) => until = Some(until.map_or(*then, |until| until.min(*then))),
            Zygote::Booting(_, since) => {
                let then = *since + self.patience() + Duration::from_millis(1);
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
        let first_template = fds.len();
        let mut templates = Vec::new();
        for (token, template) in self.templates.iter() {
            let Some((fd, writes)) = template.fd() else { continue };
            templates.push(token);
            fds.push(PollFd::from_borrowed_fd(fd, if writes { PollFlags::OUT } else { PollFlags::IN }));
        }
        if poll(&mut fds, timeout.as_ref()).is_err() {
            // Interrupted: everything is looked at again.
            return;
        }
        let of_templates = fds.iter().skip(first_template).map(|fd| fd.revents());
        let due = templates.into_iter().zip(of_templates).filter(|(_, events)| !events.is_empty());
        let templates: Vec<u64> = due.map(|(token, _)| token).collect();
        let mut ready = fds.iter().take(first_template).map(|fd| fd.revents());
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
        for token in templates {
            self.hear_template(token);
        }
    }

    fn hear_template(&mut self, token: u64) {
        let Some(template) = self.templates.get_mut(token) else { return };
        let before = template.compiled();
        match template.proceed() {
            Ok(()) if template.compiled() && !before => {
                template.weigh();
                self.templates.make_room(token);
            }
            Ok(()) => {}
            Err(fault) => self.lose_template(token, &fault),
        }
    }
}
