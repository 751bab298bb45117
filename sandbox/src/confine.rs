//! What zygote, template and run give up before strangers' code is near.
//!
//! System-call filters in layers, because attaching is paid per process: the zygote carries the long allow-list once, and
//! everything it forks inherits it. A run adds a short list of what of that it must not do any more, so that what remains
//! is `CHILD`; a template one that leaves it `TEMPLATE` besides, and its runs another that takes that away too. Every layer
//! kills the process. Memory can never become executable.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use landlock::{ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, Scope};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use thiserror::Error;

use crate::supervision;

#[derive(Debug, Error)]
pub(crate) enum ConfineError {
    #[error("system-call filter: {0}")]
    Filter(#[from] seccompiler::BackendError),
    #[error("system-call filter: {0}")]
    Apply(#[from] seccompiler::Error),
    #[error("{0}: {1}")]
    Call(&'static str, std::io::Error),
}

/// What a run may still do: talk on its socket, manage its memory, read clocks, end.
const CHILD: [libc::c_long; 12] = [
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_getrusage,
    libc::SYS_getrandom,
    libc::SYS_rt_sigreturn,
];

/// What the zygote needs besides: to fork, confine, reap, and talk to its worker.
const ZYGOTE: [libc::c_long; 24] = [
    libc::SYS_clone,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_wait4,
    libc::SYS_pidfd_open,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup3,
    libc::SYS_prlimit64,
    libc::SYS_setrlimit,
    libc::SYS_prctl,
    libc::SYS_seccomp,
    libc::SYS_getppid,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
];

/// What of that a template keeps: to fork when its host lets it, and to confine what it forked.
const TEMPLATE: [libc::c_long; 8] = [
    libc::SYS_clone,
    libc::SYS_recvmsg,
    libc::SYS_close_range,
    libc::SYS_prlimit64,
    libc::SYS_setrlimit,
    libc::SYS_prctl,
    libc::SYS_seccomp,
    libc::SYS_getppid,
];

/// Descriptors of a template: its socket, and one that it received for the run that it becomes.
const TEMPLATE_DESCRIPTORS: u64 = 2;

fn filter(calls: impl Iterator<Item = libc::c_long>) -> Result<BpfProgram, ConfineError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = calls.map(|call| (call, Vec::new())).collect();
    // The third argument is the protection: any that has PROT_EXEC does not match, and so kills.
    let executable = SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64);
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let never_executable = SeccompCondition::new(2, SeccompCmpArgLen::Dword, executable.clone(), 0)?;
        rules.insert(call, vec![SeccompRule::new(vec![never_executable])?]);
    }
    // A debug build's descriptors look at themselves before they close; that much, and no more, of fcntl.
    let look = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, libc::F_GETFD as u64)?;
    rules.insert(libc::SYS_fcntl, vec![SeccompRule::new(vec![look])?]);
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, TargetArch::x86_64)?;
    Ok(filter.try_into()?)
}

/// Kills on these calls and allows every other; what is below it in the stack allows no other but its list.
fn forbid(calls: impl Iterator<Item = libc::c_long>) -> Result<BTreeMap<i64, Vec<SeccompRule>>, ConfineError> {
    Ok(calls.map(|call| (call, Vec::new())).collect())
}

fn layer(rules: BTreeMap<i64, Vec<SeccompRule>>) -> Result<BpfProgram, ConfineError> {
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::KillProcess, TargetArch::x86_64)?;
    Ok(filter.try_into()?)
}

/// The layers above the zygote's, built once in it: whoever needs one only attaches it.
pub(crate) struct Filters {
    child: BpfProgram,
    template: BpfProgram,
    run_of_template: BpfProgram,
}

impl Filters {
    pub(crate) fn new() -> Result<Filters, ConfineError> {
        let mut template = forbid(ZYGOTE.into_iter().filter(|call| !TEMPLATE.contains(call)))?;
        // One kind of fork: no threads, no namespaces, no child that another than the zygote reaps.
        let flags = supervision::FORK_FLAGS as u64;
        let other = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, flags)?;
        template.insert(libc::SYS_clone, vec![SeccompRule::new(vec![other])?]);
        Ok(Filters {
            child: layer(forbid(ZYGOTE.into_iter())?)?,
            template: layer(template)?,
            run_of_template: layer(forbid(TEMPLATE.into_iter())?)?,
        })
    }
}

/// Confines the zygote, for itself and all its children: no privileges to gain, no files, no network, no signals to
/// others, no system call it does not need.
pub(crate) fn confine_zygote() -> Result<(), ConfineError> {
    drop_capabilities()?;
    set(libc::PR_SET_NO_NEW_PRIVS, 1, "no new privileges")?;
    // As far as the kernel has it: the filter below allows no call that opens anything, so this is the second lock.
    no_files().ok();
    seccompiler::apply_filter(&filter(CHILD.into_iter().chain(ZYGOTE))?)?;
    Ok(())
}

fn no_files() -> Result<(), landlock::RulesetError> {
    let abi = ABI::V6;
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .restrict_self()?;
    Ok(())
}

/// What a child may use, decided by the host before it forks.
pub(crate) struct ChildLimits {
    pub(crate) address_space: u64,
    pub(crate) cpu_seconds: u64,
}

/// Confines a fresh child to its one socket.
pub(crate) fn confine_child(
    socket: i32,
    zygote: i32,
    filters: &Filters,
    limits: &ChildLimits,
) -> Result<(), ConfineError> {
    die_with(zygote)?;
    close_all_but(socket)?;
    limit(libc::RLIMIT_NOFILE, 0)?;
    limit(libc::RLIMIT_CORE, 0)?;
    limit(libc::RLIMIT_FSIZE, 0)?;
    limit(libc::RLIMIT_NPROC, 0)?;
    limit(libc::RLIMIT_CPU, limits.cpu_seconds)?;
    limit(libc::RLIMIT_AS, limits.address_space)?;
    seccompiler::apply_filter(&filters.child)?;
    Ok(())
}

/// Asks for a signal at the zygote's death.
pub(crate) fn die_with(zygote: i32) -> Result<(), ConfineError> {
    set(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, "parent-death signal")?;
    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::getppid() } != zygote {
        // The zygote died before the line above: nobody would ever kill us.
        return Err(ConfineError::Call("parent", std::io::Error::from_raw_os_error(libc::ESRCH)));
    }
    Ok(())
}

/// Confines a fresh template to its socket, which it gives back as its descriptor 0. `hand_over` sends the host the
/// descriptor by which it supervises the template's forks.
pub(crate) fn confine_template(
    socket: OwnedFd,
    zygote: i32,
    filters: &Filters,
    address_space: u64,
    hand_over: impl FnOnce(BorrowedFd<'_>, BorrowedFd<'_>) -> Result<(), rustix::io::Errno>,
) -> Result<OwnedFd, ConfineError> {
    die_with(zygote)?;
    // SAFETY: descriptor 0 is the zygote's socket, which nothing in this process uses from here on.
    if unsafe { libc::dup3(socket.as_raw_fd(), 0, libc::O_CLOEXEC) } != 0 {
        return Err(ConfineError::Call("dup3", std::io::Error::last_os_error()));
    }
    std::mem::forget(socket);
    close_all_but(0)?;
    // SAFETY: made above, and owned by nobody else.
    let control = unsafe { OwnedFd::from_raw_fd(0) };
    // No limit of processor time: it would count the forks of all its runs. The host gives it time only to compile and to
    // fork, and ends it when it takes longer. None of processes either, which would count those of the whole user.
    limit(libc::RLIMIT_CORE, 0)?;
    limit(libc::RLIMIT_FSIZE, 0)?;
    limit(libc::RLIMIT_AS, address_space)?;
    let listener = supervision::supervise_forks().map_err(|error| ConfineError::Call("supervision", error))?;
    hand_over(control.as_fd(), listener.as_fd()).map_err(|error| ConfineError::Call("send", error.into()))?;
    drop(listener);
    limit(libc::RLIMIT_NOFILE, TEMPLATE_DESCRIPTORS)?;
    seccompiler::apply_filter(&filters.template)?;
    Ok(control)
}

/// Confines what a template forked to its one socket. What the template gave up before, it never had.
pub(crate) fn confine_run(socket: i32, cpu_seconds: u64, filters: &Filters) -> Result<(), ConfineError> {
    close_all_but(socket)?;
    limit(libc::RLIMIT_NOFILE, 0)?;
    limit(libc::RLIMIT_NPROC, 0)?;
    limit(libc::RLIMIT_CPU, cpu_seconds)?;
    seccompiler::apply_filter(&filters.run_of_template)?;
    Ok(())
}

/// Ends this process when it has used this much processor time in all; or no more so. It may take the limit back: the
/// host's clock is the one that binds.
pub(crate) fn limit_processor_time(seconds: Option<u64>) -> Result<(), ConfineError> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` lives through both calls.
    let set = unsafe {
        libc::getrlimit(libc::RLIMIT_CPU, &mut limit) == 0 && {
            limit.rlim_cur = seconds.unwrap_or(limit.rlim_max).min(limit.rlim_max);
            libc::setrlimit(libc::RLIMIT_CPU, &limit) == 0
        }
    };
    if !set {
        return Err(ConfineError::Call("setrlimit", std::io::Error::last_os_error()));
    }
    Ok(())
}

/// Root's powers, should the embedding program run as root: the kernel binds who has none.
fn drop_capabilities() -> Result<(), ConfineError> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    // _LINUX_CAPABILITY_VERSION_3 of linux/capability.h: two words each of effective, permitted and inheritable ones.
    let mut header = Header { version: 0x2008_0522, pid: 0 };
    let none = [[0u32; 3]; 2];
    // Who has none keeps none, and need not be allowed the call that gives them up: a service manager's filter forbids it.
    let mut held = [[u32::MAX; 3]; 2];
    // SAFETY: both live through the call, which writes to them.
    if unsafe { libc::syscall(libc::SYS_capget, &mut header, &mut held) } == 0 && held == none {
        return Ok(());
    }
    // SAFETY: both live through the call, which reads them.
    if unsafe { libc::syscall(libc::SYS_capset, &header, &none) } != 0 {
        return Err(ConfineError::Call("capset", std::io::Error::last_os_error()));
    }
    Ok(())
}

fn close_all_but(socket: i32) -> Result<(), ConfineError> {
    let keep = socket as libc::c_uint;
    let ranges = [(0, keep.checked_sub(1)), (keep + 1, Some(libc::c_uint::MAX))];
    for (first, last) in ranges {
        let Some(last) = last else { continue };
        // SAFETY: closes descriptors by number; nothing in the child uses any but `socket` from here on.
        if unsafe { libc::close_range(first, last, 0) } != 0 {
            return Err(ConfineError::Call("close_range", std::io::Error::last_os_error()));
        }
    }
    Ok(())
}

fn set(option: libc::c_int, value: libc::c_ulong, what: &'static str) -> Result<(), ConfineError> {
    // SAFETY: both options take one number and touch no memory of ours.
    if unsafe { libc::prctl(option, value, 0, 0, 0) } != 0 {
        return Err(ConfineError::Call(what, std::io::Error::last_os_error()));
    }
    Ok(())
}

fn limit(resource: libc::__rlimit_resource_t, value: u64) -> Result<(), ConfineError> {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: `limit` lives through the call.
    if unsafe { libc::setrlimit(resource, &limit) } != 0 {
        return Err(ConfineError::Call("setrlimit", std::io::Error::last_os_error()));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// As under systemd, whose filter forbids `capset` to a service that has no capability anyway.
    #[test]
    fn who_has_no_capabilities_need_not_be_allowed_to_give_them_up() {
        // Capabilities and filters are a thread's own.
        let confined = std::thread::spawn(|| {
            drop_capabilities().unwrap();
            set(libc::PR_SET_NO_NEW_PRIVS, 1, "no new privileges").unwrap();
            let refuse = SeccompAction::Errno(libc::EPERM as u32);
            let rules = forbid([libc::SYS_capset].into_iter()).unwrap();
            let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, TargetArch::x86_64).unwrap();
            let program: BpfProgram = filter.try_into().unwrap();
            seccompiler::apply_filter(&program).unwrap();
            // SAFETY: whatever the pointers are, the filter refuses before the kernel looks at them.
            let asked = unsafe { libc::syscall(libc::SYS_capset, 0, 0) };
            assert_eq!((asked, std::io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EPERM)));
            drop_capabilities().unwrap();
        });
        confined.join().unwrap();
    }
}
