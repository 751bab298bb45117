//! One run as its host sees it: what was asked, what is owed, when it must end. Nothing in here blocks, and nothing a child
//! sends is believed before it is checked.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::primitives::Keccak256;
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
    process::{Signal, pidfd_send_signal},
};

use super::{
    greeting,
    wake::{Bell, Delivery},
};
use crate::{
    frame::Decoder,
    job::{Job, ReadAnswer, ReadReply, ReadRequest, Reads},
    limits::Limits,
    message::{self, FromChild},
    outcome::{Outcome, Report},
};

/// Bytes read from one child before the others have their turn.
const CHUNK: usize = 64 << 10;
/// Kinds of answers, besides 0 (result) and 1 (revert data).
const FAILED: u8 = 2;
const UNANSWERED: u8 = 3;

/// A job and whom it concerns.
pub(crate) struct Queued {
    pub(crate) job: Job,
    pub(crate) reads: Arc<dyn Reads>,
    pub(crate) done: Box<dyn FnOnce(Report) + Send>,
    /// How often a zygote died under it.
    pub(crate) lost: u32,
}

impl Queued {
    pub(crate) fn report(self, report: Report) {
        let done = self.done;
        // A caller's panic must not take the worker and everybody else's runs along.
        if catch_unwind(AssertUnwindSafe(|| done(report))).is_err() {
            tracing::error!("a caller of the sandbox panicked on its report");
        }
    }
}

/// A read's place in the order of requests.
struct Read {
    request: ReadRequest,
    /// From its arrival until it is handed to the child.
    answer: Option<ReadAnswer>,
    failed: bool,
    digest: [u8; 32],
}

/// Who forks a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The zygote, which tells about its birth and names it by its token.
    Zygote,
    /// A template. It tells of itself, and the kernel of its parent, which is the zygote.
    Template { template: u64, zygote: u32 },
}

pub(crate) struct Run {
    pub(crate) queued: Queued,
    pub(crate) origin: Origin,
    /// Its process number, once a run of a template made itself known.
    pub(crate) pid: Option<u32>,
    /// A run of a template that never came: its socket was closed without a word.
    pub(crate) forsaken: bool,
    token: u64,
    limits: Limits,
    socket: OwnedFd,
    pidfd: Option<OwnedFd>,
    decoder: Decoder,
    /// Bytes for the child, and how many of them are sent.
    out: Vec<u8>,
    sent: usize,
    reads: Vec<Read>,
    /// Reads whose answers were handed to the child, always a prefix.
    answered: usize,
    /// Reads whose answers the child took before it ended, by its own count; the report is silent about all others.
    /// Zero for a run that the host ended, since how far that one got is a matter of time.
    consumed: usize,
    logs: Vec<String>,
    started: Option<Instant>,
    /// How long the zygote may take to fork and to reap.
    patience: Duration,
    /// When the child is killed; before it is there and after its end, when the zygote is given up.
    pub(crate) deadline: Instant,
    pub(crate) ended: Option<(Outcome, Duration)>,
}

impl Run {
    /// `limits` are the job's within the sandbox's.
    pub(crate) fn new(
        queued: Queued,
        origin: Origin,
        token: u64,
        limits: Limits,
        socket: OwnedFd,
        patience: Duration,
    ) -> Run {
        let mut out = Vec::new();
        let code: &[u8] = if origin == Origin::Zygote { &queued.job.code } else { &[] };
        message::write_job(&mut out, &queued.job.input, &limits, code);
        Run {
            decoder: Decoder::new(message::frame_bound(&limits)),
            queued,
            origin,
            pid: None,
            forsaken: false,
            token,
            limits,
            socket,
            pidfd: None,
            out,
            sent: 0,
            reads: Vec::new(),
            answered: 0,
            consumed: 0,
            logs: Vec::new(),
            started: None,
            patience,
            deadline: Instant::now() + patience,
            ended: None,
        }
    }

    pub(crate) fn started(&self) -> bool {
        self.started.is_some()
    }

    /// The child is there: its clock starts.
    pub(crate) fn start(&mut self, pidfd: Option<OwnedFd>) {
        let now = Instant::now();
        self.started = Some(now);
        self.pidfd = pidfd;
        if self.ended.is_none() {
            self.deadline = now + Duration::from_millis(self.limits.wall_ms);
        }
        // Its words may be here before the news of it, and end the run when nobody could kill it yet. And without a
        // descriptor there is no way to kill it for sure.
        if self.ended.is_some() || self.pidfd.is_none() {
            self.end(Outcome::Crashed);
        }
    }

    /// Computing, as opposed to waiting for a read.
    pub(crate) fn computing(&self) -> bool {
        self.ended.is_none() && self.answered == self.reads.len()
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(crate) fn has_output(&self) -> bool {
        self.sent < self.out.len()
    }

    /// Ends the run and kills the child, whatever it is doing. The first end counts.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        if self.ended.is_none() {
            let wall = self.started.map_or(Duration::ZERO, |started| started.elapsed());
            self.ended = Some((outcome, wall));
            // From here on the zygote owes us its reaping.
            self.deadline = Instant::now() + self.patience;
        }
        if let Some(pidfd) = &self.pidfd {
            // Already dead is as good.
            pidfd_send_signal(pidfd, Signal::KILL).ok();
        }
    }

    /// Sends what the socket takes.
    pub(crate) fn write(&mut self) {
        while self.ended.is_none() && self.has_output() {
            let rest = self.out.get(self.sent..).unwrap_or_default();
            match send(&self.socket, rest, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(length) => self.sent += length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // The child is gone; reading tells how it ended.
                Err(_) => self.sent = self.out.len(),
            }
        }
        if !self.has_output() {
            self.out.clear();
            self.sent = 0;
        }
    }

    /// Reads once and handles every whole frame of it. Says whether there was something to read.
    pub(crate) fn read(&mut self, chunk: &mut [u8], bell: &Arc<Bell>) -> bool {
        if let Origin::Template { zygote, .. } = self.origin
            && self.pid.is_none()
        {
            return self.greet(zygote);
        }
        let length = match recv(&self.socket, &mut *chunk, RecvFlags::DONTWAIT) {
            Ok((length, _)) => length,
            Err(Errno::AGAIN | Errno::INTR) => return false,
            Err(_) => 0,
        };
        if length == 0 {
            // It went without a word. One that never came is the zygote's to tell about: if that died, the job runs again.
            if self.started() {
                self.end(Outcome::Crashed);
            }
            return false;
        }
        self.decoder.push(chunk.get(..length).unwrap_or_default());
        while self.ended.is_none() {
            let message = match self.decoder.next() {
                Ok(Some((tag, payload))) => {
                    message::from_child(tag, payload, &self.limits).map_err(|error| error.to_string())
                }
                Ok(None) => return true,
                Err(error) => Err(error.to_string()),
            };
            match message {
                Ok(FromChild::Read { chain_id, method, params }) => {
                    self.ask(ReadRequest { chain_id, method, params }, bell)
                }
                Ok(FromChild::Log(line)) if self.logs.len() < self.limits.log_lines as usize => self.logs.push(line),
                Ok(FromChild::End { outcome, consumed }) => self.settle(outcome, consumed as usize),
                Ok(FromChild::Log(_)) => self.broke_protocol("more log lines than its limit"),
                Err(error) => self.broke_protocol(&error),
            }
        }
        true
    }

    fn greet(&mut self, zygote: u32) -> bool {
        match greeting::receive(&self.socket, zygote) {
            Ok(Some(greeting)) => {
                self.pid = Some(greeting.pid);
                self.start(Some(greeting.pidfd));
                return true;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(None) | Err(_) => self.forsaken = true,
        }
        false
    }

    /// Reads what is left on a dead child's socket. Bounded: a run takes a bounded number of messages, and the socket's
    /// buffer holds no more than the kernel let the child write.
    pub(crate) fn drain(&mut self, chunk: &mut [u8], bell: &Arc<Bell>) {
        while self.ended.is_none() && self.read(chunk, bell) {}
    }

    /// The child says how it ended, and how many answers led it there. What arrived beyond those counts for nothing, or
    /// the report would tell when answers came rather than what they were.
    fn settle(&mut self, outcome: Outcome, consumed: usize) {
        if consumed > self.answered {
            return self.broke_protocol("more answers consumed than it was sent");
        }
        // A failed read ends the run as soon as it is consumed, so it is the last one, and nothing else ends it so.
        let failed = self.reads.iter().take(consumed).position(|read| read.failed).map(|index| index + 1);
        if failed != (outcome == Outcome::ReadFailed).then_some(consumed) {
            return self.broke_protocol("an end that does not fit the answers it consumed");
        }
        self.consumed = consumed;
        self.end(outcome);
    }

    fn broke_protocol(&mut self, what: &str) {
        tracing::warn!(workflow = %self.queued.job.input.workflow, what, "a sandboxed child broke its protocol; killed");
        self.end(Outcome::Crashed);
    }

    fn ask(&mut self, request: ReadRequest, bell: &Arc<Bell>) {
        if self.reads.len() >= self.limits.reads as usize {
            return self.broke_protocol("more reads than its limit");
        }
        if !self.queued.job.input.chains.contains(&request.chain_id) {
            return self.broke_protocol("a read of a chain that its job does not support");
        }
        let (token, index, bell) = (self.token, self.reads.len(), bell.clone());
        self.reads.push(Read {
            request: request.clone(),
            answer: None,
            failed: false,
            digest: digest(UNANSWERED, &[]),
        });
        let reply = ReadReply::new(move |answer| bell.deliver(Delivery { token, index, answer }));
        // Should it panic, the reply is dropped and so answers `Failed`.
        if catch_unwind(AssertUnwindSafe(|| self.queued.reads.read(request, reply))).is_err() {
            tracing::error!("whoever answers the sandbox's reads panicked");
        }
    }

    /// Takes an answer, for the next `write`. The child gets answers in the order of its requests, whatever the order in which they came.
    pub(crate) fn answer(&mut self, index: usize, answer: ReadAnswer) {
        if self.ended.is_some() {
            return;
        }
        let limit = self.limits.read_answer_bytes as usize;
        let Some(read) = self.reads.get_mut(index).filter(|read| read.answer.is_none()) else { return };
        // Too long is failed. Either way the child hears of it when its turn comes, like of any other answer.
        let answer = match answer {
            ReadAnswer::Ok(json) if json.len() > limit => ReadAnswer::Failed,
            ReadAnswer::Reverted(data) if data.len() > limit => ReadAnswer::Failed,
            answer => answer,
        };
        let (kind, body) = parts(&answer);
        read.failed = kind == FAILED;
        read.digest = digest(kind, body);
        read.answer = Some(answer);
        while let Some(answer) = self.reads.get_mut(self.answered).and_then(|read| read.answer.take()) {
            let (kind, body) = parts(&answer);
            message::write_answer(&mut self.out, kind, body);
            self.answered += 1;
        }
    }

    /// The run is over and its child gone.
    pub(crate) fn finish(mut self, cpu: Duration, peak_memory_bytes: u64) {
        let (outcome, wall) = self.ended.take().unwrap_or((Outcome::Crashed, Duration::ZERO));
        for read in self.reads.iter_mut().skip(self.consumed) {
            read.digest = digest(UNANSWERED, &[]);
        }
        let reads = self.reads.into_iter().map(|read| (read.request, read.digest)).collect();
        self.queued.report(Report { outcome, reads, logs: self.logs, wall, cpu, peak_memory_bytes });
    }
}

/// An answer's kind, as the wire and the digest have it, and its bytes.
fn parts(answer: &ReadAnswer) -> (u8, &[u8]) {
    match answer {
        ReadAnswer::Ok(json) => (0, json.as_bytes()),
        ReadAnswer::Reverted(data) => (1, data),
        ReadAnswer::Failed => (FAILED, &[]),
    }
}

/// keccak256 of one byte of kind and the answer's bytes.
fn digest(kind: u8, body: &[u8]) -> [u8; 32] {
    let mut hash = Keccak256::new();
    hash.update([kind]);
    hash.update(body);
    hash.finalize().0
}

/// A buffer for `Run::read`, shared by all runs of a worker.
pub(crate) fn chunk() -> Vec<u8> {
    vec![0; CHUNK]
}
