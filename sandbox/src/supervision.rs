//! A template may fork, but only when its host says so: its `clone` waits in the kernel until the host lets it go on
//! (seccomp user notification, seccomp_unotify(2)). That bounds what a template that was taken over can start by the runs
//! that its host wants of it, and the wait is also how a template sleeps between two runs.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use rustix::io::Errno;

/// The one way in which a template forks: a plain child, but of the template's parent, which reaps it.
pub(crate) const FORK_FLAGS: libc::c_int = libc::CLONE_PARENT | libc::SIGCHLD;

/// `seccomp_data.nr` is its first word; the filters below this one have checked the architecture.
const NUMBER: u32 = 0;

/// From here on `clone` in this process and its children waits for whoever holds the descriptor.
pub(crate) fn supervise_forks() -> io::Result<OwnedFd> {
    let step = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, NUMBER, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_clone as u32, 0, 1),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_USER_NOTIF, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
    // SAFETY: the program lives through the call, which copies it.
    let fd = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &program) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that the kernel just made for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Forks, once the host allows it: the child's number in the template, 0 in the child.
pub(crate) fn fork() -> io::Result<i32> {
    // Not the C library's fork: it cannot give the child another parent. What it does besides (locks of other threads,
    // handlers) has no meaning in a process of one thread that runs no C library's handlers.
    // SAFETY: without CLONE_VM the child has memory of its own; no stack, no thread-local storage, nothing is written.
    let pid = unsafe { libc::syscall(libc::SYS_clone, FORK_FLAGS as libc::c_ulong, 0, 0, 0, 0) };
    if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid as i32) }
}

/// A process that waits in `clone`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    id: u64,
    pub(crate) pid: u32,
}

/// The host's end.
pub(crate) struct Supervisor(OwnedFd);

impl Supervisor {
    pub(crate) fn new(listener: OwnedFd) -> Supervisor {
        Supervisor(listener)
    }

    /// Readable when a process waits.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Who waits. Call it only when `fd` is readable, or it waits itself.
    pub(crate) fn waiting(&self) -> Result<Waiting, Errno> {
        let mut notice = std::mem::MaybeUninit::<libc::seccomp_notif>::zeroed();
        // SAFETY: the kernel wants it zeroed, and fills it when it succeeds.
        if unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, notice.as_mut_ptr()) } != 0 {
            return Err(errno());
        }
        // SAFETY: filled, or zeroed, which is a valid one.
        let notice = unsafe { notice.assume_init() };
        Ok(Waiting { id: notice.id, pid: notice.pid })
    }

    /// Lets a process go on with its `clone`.
    pub(crate) fn allow(&self, waiting: Waiting) -> Result<(), Errno> {
        let go_on = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        let mut answer = libc::seccomp_notif_resp { id: waiting.id, val: 0, error: 0, flags: go_on };
        // What goes on is what the filters saw: `clone`'s flags are a register, not memory that could change meanwhile.
        // SAFETY: `answer` lives through the call.
        if unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &mut answer) } != 0 {
            return Err(errno());
        }
        Ok(())
    }
}

fn errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}
