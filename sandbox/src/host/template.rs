//! A template as its worker sees it: a process that is compiling, or that waits to be allowed its next fork.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{SendFlags, send},
    process::{Signal, pidfd_send_signal},
};

use crate::{
    fd_passing,
    supervision::{Supervisor, Waiting},
    template,
};

pub(crate) struct Template {
    pub(crate) code: Arc<[u8]>,
    pub(crate) nesting: u32,
    /// It evaluates the module, too, and ends when that is not the same for all runs.
    pub(crate) evaluates: bool,
    socket: OwnedFd,
    /// The code on its way, and how much of it is sent.
    out: Vec<u8>,
    sent: usize,
    process: Option<(u32, OwnedFd)>,
    supervisor: Option<Supervisor>,
    /// Waits in `clone`.
    waiting: Option<Waiting>,
    /// Runs whose sockets it has and that it was not allowed to fork yet.
    owed: u32,
    compiled: bool,
    patience: Duration,
    /// When it is given up, while it compiles or forks. What it waits for the host costs nothing.
    pub(crate) deadline: Option<Instant>,
    /// Its own memory, in bytes.
    pub(crate) bytes: u64,
    pub(crate) last_use: u64,
}

/// Something in a template that an honest one does not do, or its death.
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) &'static str);

impl Template {
    pub(crate) fn new(code: Arc<[u8]>, nesting: u32, evaluates: bool, socket: OwnedFd, patience: Duration) -> Template {
        let mut out = Vec::new();
        template::write_code(&mut out, &code, nesting, evaluates);
        Template {
            code,
            nesting,
            evaluates,
            socket,
            out,
            sent: 0,
            process: None,
            supervisor: None,
            waiting: None,
            owed: 0,
            compiled: false,
            patience,
            deadline: Some(Instant::now() + patience),
            bytes: 0,
            last_use: 0,
        }
    }

    pub(crate) fn started(&mut self, pid: u32, pidfd: OwnedFd) {
        self.process = Some((pid, pidfd));
    }

    /// Can make runs.
    pub(crate) fn compiled(&self) -> bool {
        self.compiled
    }

    pub(crate) fn idle(&self) -> bool {
        self.owed == 0
    }

    /// What to poll, and for what it would read or write. Nothing while it waits for the host.
    pub(crate) fn fd(&self) -> Option<(BorrowedFd<'_>, bool)> {
        match &self.supervisor {
            None => Some((self.socket.as_fd(), false)),
            Some(_) if !self.out.is_empty() => Some((self.socket.as_fd(), true)),
            Some(supervisor) => self.waiting.is_none().then(|| (supervisor.fd(), false)),
        }
    }

    /// Called when `fd` is ready.
    pub(crate) fn proceed(&mut self) -> Result<(), Fault> {
        let Some(supervisor) = &self.supervisor else {
            let mut word = [0; 8];
            return match fd_passing::receive(&self.socket, &mut word) {
                Ok((1, Some(listener))) if word.starts_with(&template::SUPERVISE) => {
                    self.supervisor = Some(Supervisor::new(listener));
                    self.write()
                }
                Err(Errno::AGAIN | Errno::INTR) => Ok(()),
                _ => Err(Fault("cannot be supervised")),
            };
        };
        if !self.out.is_empty() {
            return self.write();
        }
        match supervisor.waiting() {
            Ok(waiting) if self.process.as_ref().is_some_and(|(pid, _)| *pid == waiting.pid) => {
                self.waiting = Some(waiting);
                self.compiled = true;
                self.deadline = None;
                self.allow()
            }
            Ok(_) => Err(Fault("was not the one to fork")),
            Err(Errno::INTR | Errno::AGAIN) => Ok(()),
            Err(_) => Err(Fault("is gone")),
        }
    }

    /// Sends what the socket takes of the code.
    fn write(&mut self) -> Result<(), Fault> {
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match send(&self.socket, rest, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(length) => self.sent += length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(_) => return Err(Fault("does not take its code")),
            }
        }
        self.out = Vec::new();
        Ok(())
    }

    /// Has it fork a run, at once or when it is back from the fork before.
    pub(crate) fn fork(&mut self, socket: BorrowedFd<'_>, cpu_seconds: u64) -> Result<(), Fault> {
        let order: [u8; template::RUN_BYTES] = cpu_seconds.to_le_bytes();
        fd_passing::send(&self.socket, &order, Some(socket)).map_err(|_| Fault("does not take orders"))?;
        self.owed += 1;
        self.allow()
    }

    fn allow(&mut self) -> Result<(), Fault> {
        let (Some(supervisor), Some(waiting)) = (&self.supervisor, self.waiting) else { return Ok(()) };
        if self.owed == 0 {
            return Ok(());
        }
        supervisor.allow(waiting).map_err(|_| Fault("is gone"))?;
        self.owed -= 1;
        self.waiting = None;
        self.deadline = Some(Instant::now() + self.patience);
        Ok(())
    }

    /// Reads how much memory is its own alone. Once: it does nothing but fork from here on.
    pub(crate) fn weigh(&mut self) {
        let field = |text: &str, name: &str| -> Option<u64> {
            text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
        };
        let pid = self.process.as_ref().map_or(0, |(pid, _)| *pid);
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let kilobytes = field(&text, "Private_Dirty:").map(|dirty| dirty + field(&text, "Private_Clean:").unwrap_or(0));
        self.bytes = kilobytes.map_or(ASSUMED_BYTES, |kilobytes| kilobytes * 1024);
    }
}

/// What a template is taken to weigh while it compiles, and where the kernel does not tell: more than most do.
pub(crate) const ASSUMED_BYTES: u64 = 4 << 20;

impl Drop for Template {
    /// What it forked goes on: those are the zygote's children.
    fn drop(&mut self) {
        if let Some((_, pidfd)) = &self.process {
            // Already dead is as good.
            pidfd_send_signal(pidfd, Signal::KILL).ok();
        }
    }
}
