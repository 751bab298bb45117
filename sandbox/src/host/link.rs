//! A zygote as its worker sees it: a process and a datagram socket.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
};

use crate::{
    fd_passing,
    limits::SandboxConfig,
    zygote::{CEILING, Fork, MARKER, NEWS_BYTES, News},
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
            .spawn()?;
        Ok(Link { process, control })
    }

    /// Has the zygote fork. The socket is the child's end of its pair.
    pub(crate) fn fork(&self, fork: Fork, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        fd_passing::send(&self.control, &fork.to_bytes(), Some(socket))
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
    /// Its children follow it: they asked for a signal at its death.
    fn drop(&mut self) {
        // Already gone is as good.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
