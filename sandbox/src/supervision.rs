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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        net::{AddressFamily, SocketFlags, SocketType, socketpair},
        process::{Pid, Signal, WaitOptions, kill_process, waitpid},
    };

    use super::*;
    use crate::{
        confine::{self, Filters},
        fd_passing,
    };

    /// A process confined like a template, which then does `act`; and the host's ends.
    fn template(act: impl FnOnce()) -> (Pid, OwnedFd, Supervisor) {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        let filters = Filters::new().unwrap();
        // SAFETY: takes nothing, cannot fail.
        let parent = unsafe { libc::getpid() };
        // SAFETY: the child makes system calls and allocates, which the C library allows after fork.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let confined = confine::confine_zygote().and_then(|()| {
                confine::confine_template(theirs, parent, &filters, 1 << 40, |control, listener| {
                    fd_passing::send(control, &[1], Some(listener))
                })
            });
            if confined.is_ok() {
                act();
            }
            // SAFETY: ends the child.
            unsafe { libc::_exit(if confined.is_ok() { 0 } else { 99 }) }
        }
        drop(theirs);
        let (_, listener) = fd_passing::receive(&ours, &mut [0; 8]).unwrap();
        (Pid::from_raw(child).unwrap(), ours, Supervisor::new(listener.unwrap()))
    }

    fn waits(supervisor: &Supervisor, milliseconds: i64) -> bool {
        let timeout = Timespec { tv_sec: milliseconds / 1_000, tv_nsec: milliseconds % 1_000 * 1_000_000 };
        poll(&mut [PollFd::from_borrowed_fd(supervisor.fd(), PollFlags::IN)], Some(&timeout)).unwrap() == 1
    }

    fn reap(pid: Pid) -> rustix::process::WaitStatus {
        waitpid(Some(pid), WaitOptions::empty()).unwrap().unwrap().1
    }

    #[test]
    fn a_fork_bomb_gets_the_forks_that_its_host_wants_and_no_more() {
        // Parent and children all fork for ever.
        let (pid, _socket, supervisor) = template(|| while fork().is_ok() {});
        let mut known = vec![pid];
        for _ in 0..5 {
            // The template's own forks are allowed, as a host would; its children's are not.
            let waiting = loop {
                assert!(waits(&supervisor, 10_000));
                let waiting = supervisor.waiting().unwrap();
                if waiting.pid == pid.as_raw_nonzero().get() as u32 {
                    break waiting;
                }
            };
            let before = children();
            supervisor.allow(waiting).unwrap();
            let looks = (0..10_000).map(|_| {
                std::thread::sleep(std::time::Duration::from_millis(1));
                children().into_iter().find(|child| !before.contains(child))
            });
            let born = looks.flatten().next().unwrap();
            known.push(Pid::from_raw(born).unwrap());
        }
        // Five were allowed, five came; they are this process's children.
        let mine = children();
        assert!(known.iter().all(|pid| mine.contains(&pid.as_raw_nonzero().get())));
        for pid in known {
            kill_process(pid, Signal::KILL).unwrap();
            assert_eq!(reap(pid).terminating_signal(), Some(libc::SIGKILL));
        }
    }

    fn children() -> Vec<i32> {
        let text = std::fs::read_to_string("/proc/thread-self/children").unwrap();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// What it is, and the system call.
    type Act = (&'static str, fn() -> i64);

    /// What a system call gave, should it come back.
    fn drop_number(_: i64) {}

    #[test]
    fn what_a_template_may_not_kills_it() {
        // SAFETY (all of these): system calls that never happen, for the filter kills first.
        let acts: [Act; 12] = [
            ("another kind of fork", || unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) }),
            ("a thread", || {
                let flags = libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND | libc::SIGCHLD;
                unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) }
            }),
            ("a namespace", || {
                let flags = FORK_FLAGS | libc::CLONE_NEWUSER;
                unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) }
            }),
            ("clone3", || unsafe { libc::syscall(libc::SYS_clone3, 0, 0) }),
            ("vfork", || unsafe { libc::syscall(libc::SYS_vfork) }),
            ("a signal", || unsafe { libc::syscall(libc::SYS_kill, libc::getppid(), 0) }),
            ("its own group", || unsafe { libc::syscall(libc::SYS_setpgid, 0, 0) }),
            ("a socket", || unsafe { libc::syscall(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0) }),
            ("a file", || unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, c"/etc/passwd".as_ptr(), 0) }),
            ("a program", || unsafe { libc::syscall(libc::SYS_execve, c"/bin/sh".as_ptr(), 0, 0) }),
            ("a message with a descriptor", || unsafe { libc::syscall(libc::SYS_sendmsg, 0, 0, 0) }),
            ("another process's descriptor", || unsafe { libc::syscall(libc::SYS_pidfd_open, 1, 0) }),
        ];
        for (what, act) in acts {
            let (pid, _socket, _supervisor) = template(|| drop_number(act()));
            assert_eq!(reap(pid).terminating_signal(), Some(libc::SIGSYS), "{what}");
        }
        let (pid, _socket, _supervisor) = template(|| {});
        assert_eq!(reap(pid).exit_status(), Some(0));
    }

    #[test]
    fn a_run_of_a_template_may_not_what_the_template_may() {
        let acts: [Act; 4] = [
            ("fork", || fork().map_or(-1, i64::from)),
            // SAFETY (all): killed before they happen.
            ("receive a descriptor", || unsafe { libc::syscall(libc::SYS_recvmsg, 0, 0, 0) }),
            ("outlive its zygote", || unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, 0) }),
            ("raise a limit", || unsafe { libc::syscall(libc::SYS_prlimit64, 0, libc::RLIMIT_AS, 0, 0) }),
        ];
        for (what, act) in acts {
            let filters = Filters::new().unwrap();
            let (pid, _socket, supervisor) = template(move || {
                if confine::confine_run(0, 5, &filters).is_ok() {
                    drop_number(act());
                }
            });
            assert_eq!(reap(pid).terminating_signal(), Some(libc::SIGSYS), "{what}");
            drop(supervisor);
        }
    }
}
