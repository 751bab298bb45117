//! Who is at the other end of a run's socket: a run that a template forked says one byte, and the kernel says whose it is.
//! So a template that was taken over can name no process but itself and what it forked.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};

/// SCM_PIDFD of linux/socket.h.
const SCM_PIDFD: libc::c_int = 4;

pub(crate) struct Greeting {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
}

/// Has the kernel name whoever speaks on this socket.
pub(crate) fn ask_for_names(socket: impl AsFd) -> Result<(), Errno> {
    set(&socket, libc::SO_PASSCRED)?;
    // Linux 6.5; before, the descriptor is opened by number.
    set(&socket, libc::SO_PASSPIDFD).ok();
    Ok(())
}

fn set(socket: &impl AsFd, option: libc::c_int) -> Result<(), Errno> {
    let on: libc::c_int = 1;
    // SAFETY: `on` lives through the call, which reads as many bytes as it has.
    let failed = unsafe {
        let (socket, size) = (socket.as_fd().as_raw_fd(), size_of_val(&on) as libc::socklen_t);
        libc::setsockopt(socket, libc::SOL_SOCKET, option, (&raw const on).cast(), size)
    };
    if failed != 0 { Err(last()) } else { Ok(()) }
}

/// The first byte and its sender; nothing when the other end was closed without a word. `zygote` is the sender's parent.
pub(crate) fn receive(socket: impl AsFd, zygote: u32) -> Result<Option<Greeting>, Errno> {
    let mut byte = 0u8;
    let mut slice = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // Room for both messages and a few more, aligned like their headers.
    let mut space = [0u64; 16];
    let mut message = MaybeUninit::<libc::msghdr>::zeroed();
    let mut credentials: Option<libc::ucred> = None;
    let mut pidfd = None;
    // SAFETY: the header's pointers lead to locals that live through the call with the lengths given. The control messages
    // are walked by the library's macros within what the kernel wrote; a descriptor in one is ours alone.
    unsafe {
        let message = message.assume_init_mut();
        message.msg_iov = &raw mut slice;
        message.msg_iovlen = 1;
        message.msg_control = space.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&space);
        let length = libc::recvmsg(socket.as_fd().as_raw_fd(), message, libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC);
        if length < 0 {
            return Err(last());
        }
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(found) = header.as_ref() {
            let data = libc::CMSG_DATA(header);
            match (found.cmsg_level, found.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                    credentials = Some(data.cast::<libc::ucred>().read_unaligned())
                }
                (libc::SOL_SOCKET, SCM_PIDFD) => {
                    let fd = data.cast::<libc::c_int>().read_unaligned();
                    pidfd = (fd >= 0).then(|| OwnedFd::from_raw_fd(fd));
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
        if length == 0 {
            return Ok(None);
        }
    }
    let pid = credentials.map_or(0, |credentials| credentials.pid);
    let pidfd = match pidfd {
        Some(pidfd) => pidfd,
        None => open_child(pid, zygote)?,
    };
    Ok(Some(Greeting { pid: pid.unsigned_abs(), pidfd }))
}

/// By number, which may mean another process by now; one of the zygote's it is in any case.
fn open_child(pid: i32, zygote: u32) -> Result<OwnedFd, Errno> {
    let pidfd = pidfd_open(Pid::from_raw(pid).ok_or(Errno::SRCH)?, PidfdFlags::empty())?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|_| Errno::SRCH)?;
    // The name in brackets may hold anything; behind it come the state and the parent.
    let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
    if parent == Some(zygote) { Ok(pidfd) } else { Err(Errno::SRCH) }
}

fn last() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use rustix::{
        net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair},
        process::{Signal, WaitOptions, pidfd_send_signal, waitpid},
    };

    use super::*;

    #[test]
    fn the_kernel_names_who_speaks() {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        ask_for_names(&ours).unwrap();
        assert_eq!(receive(&ours, 0).err(), Some(Errno::AGAIN));
        // SAFETY: the child only makes system calls and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            send(&theirs, b"x", SendFlags::empty()).ok();
            // SAFETY: waits for the signal below; then ends, whatever comes.
            unsafe {
                libc::pause();
                libc::_exit(0)
            }
        }
        drop(theirs);
        let mut readable = [rustix::event::PollFd::new(&ours, rustix::event::PollFlags::IN)];
        let patience = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
        assert_eq!(rustix::event::poll(&mut readable, Some(&patience)).unwrap(), 1);
        let greeting = receive(&ours, std::process::id()).unwrap().unwrap();
        assert_eq!(greeting.pid, child as u32);
        // By number too, where the kernel is older; and not when it is somebody else's child.
        assert!(open_child(child, std::process::id()).is_ok());
        assert_eq!(open_child(child, 1).err(), Some(Errno::SRCH));
        pidfd_send_signal(&greeting.pidfd, Signal::KILL).unwrap();
        waitpid(Pid::from_raw(child), WaitOptions::empty()).unwrap();
        assert!(receive(&ours, 0).unwrap().is_none());
    }
}
