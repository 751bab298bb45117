//! A zygote as its worker sees it: a process and a datagram socket.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    process::{Pid, Signal, kill_process_group},
};

use crate::{
    fd_passing,
    limits::SandboxConfig,
    orders::{NEWS_BYTES, News, Order},
    zygote::{CEILING, MARKER},
};

pub(crate) struct Link {
    process: Child,
    control: OwnedFd,
}

impl Link {
    /// Starts a zygote; it sends `News::Ready` when it can fork.
    pub(crate) fn start(config: &SandboxConfig) -> io::Result<Link> {
        let (control, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        rustix::io::ioctl_fionbio(&control, true)?;
        let program = config.program.clone().unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
        let process = Command::new(program)
            .arg(MARKER)
            .env_clear()
            .env(CEILING, config.limits.memory_bytes.to_string())
            // The engine would otherwise keep an unverified bytecode cache on disk.
            .env("V82JSC_NO_BC_CACHE", "1")
            .env("TZ", "UTC0")
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            // Its own group, which nothing below it can leave: so all of it can be ended at once.
            .process_group(0)
            .spawn()?;
        Ok(Link { process, control })
    }

    /// Has the zygote fork. The socket is the child's end of its pair.
    pub(crate) fn fork(&self, order: Order, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        fd_passing::send(&self.control, &order.to_bytes(), Some(socket))
    }

    /// The zygote's process number.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The next news, if any. An error means that the zygote is gone.
    pub(crate) fn news(&self) -> Result<Option<(News, Option<OwnedFd>)>, Errno> {
        let mut buffer = [0; NEWS_BYTES];
        match fd_passing::receive(&self.control, &mut buffer) {
            Ok((0, _)) => Err(Errno::PIPE),
            Ok((length, fd)) => match News::from_bytes(buffer.get(..length).unwrap_or_default()) {
                Some(news) => Ok(Some((news, fd))),
                None => Err(Errno::BADMSG),
            },
            Err(Errno::AGAIN) => Ok(None),
            Err(Errno::INTR) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}

impl Drop for Link {
    /// With all it forked, and all that a template forked that nobody heard of.
    fn drop(&mut self) {
        // The zygote is not waited for yet, so the number still means its group. Already gone is as good.
        if let Some(group) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            kill_process_group(group, Signal::KILL).ok();
        }
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
