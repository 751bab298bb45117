//! The zygote: one thread, the engine loaded, forks a child for every socket it is sent and reaps what died, also what its
//! templates forked: they make it the parent.
//!
//! It is this executable, run again with a marker and an empty environment. Its standard input is a datagram socket to its
//! worker. It reads no byte that a stranger wrote: the job goes from the host to the child directly.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{PidfdFlags, pidfd_open},
};
use thiserror::Error;

use crate::{
    child,
    confine::{self, ChildLimits, ConfineError, Filters},
    engine::{Engine, EngineError},
    fd_passing,
    orders::{News, ORDER_BYTES, Order},
    template,
};

/// Both must be there, so that no caller's habit starts a zygote by accident. The variable holds the heap ceiling in bytes.
pub(crate) const MARKER: &str = "--ditto-sandbox-zygote";
pub(crate) const CEILING: &str = "DITTO_SANDBOX_ZYGOTE";

/// Address space beyond what the zygote has and twice the heap: the engine's headroom, the compiler, the stack.
const SPARE_ADDRESS_SPACE: u64 = 64 << 20;

#[derive(Debug, Error)]
enum ZygoteError {
    #[error("{CEILING} is not a number of bytes")]
    Ceiling,
    #[error("{0} threads run; enter_if_zygote must be called first thing in main")]
    Threads(usize),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Confine(#[from] ConfineError),
    #[error("{0}: {1}")]
    Call(&'static str, std::io::Error),
}

/// Call this first thing in `main` of every executable that embeds the sandbox, before any thread starts. In a process that
/// was started as a zygote it never returns; in any other it does nothing.
pub fn enter_if_zygote() {
    if std::env::args_os().nth(1).is_none_or(|arg| arg != MARKER) {
        return;
    }
    let Some(ceiling) = std::env::var_os(CEILING) else { return };
    let ceiling = ceiling.to_str().and_then(|text| text.parse().ok());
    let result = ceiling.ok_or(ZygoteError::Ceiling).and_then(serve);
    // The worker is gone (a clean end), or we could not start: it shows the last line of this in its error.
    if let Err(error) = result {
        eprintln!("ditto-sandbox zygote: {error}");
        std::process::exit(1);
    }
    std::process::exit(0);
}

struct Child {
    pid: i32,
    token: u64,
}

/// How much runs give way to the host's own threads, as `nice` counts: a third of their share of a busy processor.
const NICE: libc::c_int = 5;

/// Lets the host's threads go first, for the zygote and everything that it forks. What has been simulated is then built,
/// judged and signed before more is simulated, so a machine with too much to do gets done with part of it in time.
fn give_way() {
    // SAFETY: numbers only. It may be forbidden, by a service's filter, and then runs have an equal share.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

fn serve(memory_ceiling: u64) -> Result<(), ZygoteError> {
    let call = |what| move |error: rustix::io::Errno| ZygoteError::Call(what, error.into());
    // SAFETY: asks for a signal when the worker's thread dies; touches no memory.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, 0, 0, 0) };
    give_way();
    let mut engine = Some(Engine::new(memory_ceiling)?);
    // A panic from here on must not unwind into the engine's frames, nor print from a confined child.
    std::panic::set_hook(Box::new(|_| {
        // SAFETY: ends this process at once.
        unsafe { libc::_exit(101) }
    }));
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, |list| list.count());
    if threads != 1 {
        return Err(ZygoteError::Threads(threads));
    }
    let address_space = address_space() + SPARE_ADDRESS_SPACE;
    let deaths = watch_children()?;
    let filters = Filters::new()?;
    confine::confine_zygote()?;
    let control = std::io::stdin();
    let control = control.as_fd();
    // SAFETY: takes nothing, cannot fail.
    let own_pid = unsafe { libc::getpid() };
    fd_passing::send(control, &News::Ready.to_bytes(), None).map_err(call("send"))?;

    let mut children: Vec<Child> = Vec::new();
    loop {
        let mut polled = [PollFd::new(&control, PollFlags::IN), PollFd::new(&deaths, PollFlags::IN)];
        match poll(&mut polled, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(call("poll")(error)),
        }
        let [from_worker, from_children] = polled.map(|fd| !fd.revents().is_empty());
        if from_children {
            let mut drop_signals = [0u8; 1024];
            // Coalesced signals carry no count worth reading: every dead child is collected below.
            rustix::io::read(&deaths, &mut drop_signals).ok();
            reap(&mut children, |news| fd_passing::send(control, &news.to_bytes(), None)).map_err(call("send"))?;
        }
        if !from_worker {
            continue;
        }
        let mut buffer = [0; ORDER_BYTES];
        let (length, socket) = match fd_passing::receive(control, &mut buffer) {
            Ok((0, _)) | Err(rustix::io::Errno::CONNRESET) => return Ok(()),
            Ok(received) => received,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(call("receive")(error)),
        };
        let (Some(order), Some(socket)) = (Order::from_bytes(buffer.get(..length).unwrap_or_default()), socket) else {
            continue;
        };
        let token = match order {
            Order::Run(fork) => fork.token,
            Order::Template { token } => token,
        };
        // SAFETY: the process has one thread, so the child's memory is whole.
        match unsafe { libc::fork() } {
            -1 => {
                let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0) as u32;
                fd_passing::send(control, &News::ForkFailed { token, errno }.to_bytes(), None).map_err(call("send"))?;
            }
            0 => {
                if let Some(engine) = engine.take() {
                    become_child(engine, order, socket, own_pid, &filters, address_space, memory_ceiling);
                }
                // SAFETY: an unconfined child must not live; ends it at once.
                unsafe { libc::_exit(100) }
            }
            pid => {
                children.push(Child { pid, token });
                // The child cannot be reaped before we return to the loop, so the number still means it.
                let pidfd =
                    rustix::process::Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
                let news = News::Forked { token, pid: pid.unsigned_abs() }.to_bytes();
                fd_passing::send(control, &news, pidfd.as_ref().map(|fd| fd.as_fd())).map_err(call("send"))?;
            }
        }
    }
}

/// Returns only when it cannot confine itself.
fn become_child(
    engine: Engine,
    order: Order,
    socket: OwnedFd,
    zygote: i32,
    filters: &Filters,
    address_space: u64,
    memory_ceiling: u64,
) {
    match order {
        Order::Template { .. } => template::serve(engine, socket, zygote, filters, address_space + 2 * memory_ceiling),
        Order::Run(fork) => {
            let limits =
                ChildLimits { address_space: address_space + 2 * fork.memory_bytes, cpu_seconds: fork.cpu_seconds };
            if confine::confine_child(socket.as_raw_fd(), zygote, filters, &limits).is_ok() {
                child::run(engine, socket);
            }
        }
    }
}

/// A descriptor that is readable when a child died.
fn watch_children() -> Result<OwnedFd, ZygoteError> {
    // SAFETY: `set` is initialised by sigemptyset before it is read, and lives through every call.
    unsafe {
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
        let fd = libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 {
            return Err(ZygoteError::Call("signalfd", std::io::Error::last_os_error()));
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

fn reap(
    children: &mut Vec<Child>,
    mut tell: impl FnMut(News) -> Result<(), rustix::io::Errno>,
) -> Result<(), rustix::io::Errno> {
    loop {
        let mut status = 0;
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: both out-parameters live through the call; a zeroed rusage is a valid one.
        let (pid, usage) =
            unsafe { (libc::wait4(-1, &mut status, libc::WNOHANG, usage.as_mut_ptr()), usage.assume_init()) };
        if pid <= 0 {
            return Ok(());
        }
        let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
        let cpu_us = micros(usage.ru_utime) + micros(usage.ru_stime);
        let peak_bytes = usage.ru_maxrss as u64 * 1024;
        tell(match children.iter().position(|child| child.pid == pid) {
            Some(index) => News::Reaped { token: children.swap_remove(index).token, cpu_us, peak_bytes },
            None => News::Gone { pid: pid.unsigned_abs(), cpu_us, peak_bytes },
        })?;
    }
}

/// The address space this process has now, in bytes; zero when the kernel does not say.
fn address_space() -> u64 {
    let pages =
        std::fs::read_to_string("/proc/self/statm").ok().and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    // x86_64 has one page size.
    pages.unwrap_or(0) * 4096
}
