//! What of the sandbox's confinement this machine's kernel gives, in words for whoever runs it.
//!
//! Asks only: nothing here confines the caller. `confine` is what applies the same things in zygotes, templates and runs.

use serde::Serialize;

/// One layer of the confinement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Protection {
    /// A fixed snake_case name.
    pub name: &'static str,
    /// Whether this machine gives it.
    pub holds: bool,
    /// Whether runs are refused without it. The others are second locks, or cost only speed.
    pub required: bool,
    /// What it does here, or what is missing and what to do about it: one sentence or two for people.
    pub explanation: String,
}

/// Every layer, the required ones first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Protections {
    pub layers: Vec<Protection>,
    /// The kernel's Landlock ABI; 0 when it has none. Files from 1, TCP from 4, device ioctls from 5, signals and abstract
    /// sockets from 6 (<https://docs.kernel.org/userspace-api/landlock.html>).
    pub landlock_abi: u32,
}

impl Protections {
    /// Whether a sandbox starts here at all.
    pub fn sufficient(&self) -> bool {
        self.layers.iter().all(|layer| layer.holds || !layer.required)
    }

    /// What this machine does not give.
    pub fn missing(&self) -> impl Iterator<Item = &Protection> {
        self.layers.iter().filter(|layer| !layer.holds)
    }
}

/// Asks the kernel. Takes microseconds, changes nothing, needs no privileges.
pub fn protections() -> Protections {
    let landlock_abi = landlock_abi();
    Protections {
        layers: vec![
            no_new_privileges(),
            seccomp(),
            pidfd(),
            close_range(),
            resource_limits(),
            landlock(landlock_abi),
            supervised_forks(),
            unprivileged(),
        ],
        landlock_abi,
    }
}

fn layer(name: &'static str, required: bool, holds: bool, held: &str, missing: &str) -> Protection {
    Protection { name, holds, required, explanation: if holds { held } else { missing }.to_string() }
}

fn no_new_privileges() -> Protection {
    // SAFETY: asks for a flag of this process; takes no pointers.
    let known = unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) } >= 0;
    layer(
        "no_new_privileges",
        true,
        known,
        "No program started from the sandbox could gain privileges, by setuid or otherwise.",
        "The kernel does not know PR_SET_NO_NEW_PRIVS; Linux 3.5 or later is needed.",
    )
}

fn seccomp() -> Protection {
    layer(
        "seccomp",
        true,
        cfg!(target_arch = "x86_64") && seccomp_action(libc::SECCOMP_RET_KILL_PROCESS),
        "Allow-lists of system calls: a run can talk on its one socket, manage its memory, read clocks and end. Anything else, and executable memory, kills it.",
        "The kernel has no seccomp filters that kill a process (Linux 4.14 or later with CONFIG_SECCOMP_FILTER, on x86_64). No workflow can be run here.",
    )
}

fn pidfd() -> Protection {
    // SAFETY: takes a number and flags. The descriptor is closed below and by nobody else.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    if fd >= 0 {
        // SAFETY: just opened here.
        unsafe { libc::close(fd as libc::c_int) };
    }
    layer(
        "deadlines",
        true,
        fd >= 0,
        "The host holds a descriptor of every run's process (pidfd) and kills exactly that one at its deadline.",
        "The kernel has no pidfd_open; Linux 5.3 or later is needed.",
    )
}

fn close_range() -> Protection {
    // SAFETY: the first number is above the last, which is an error (EINVAL) before anything is closed.
    unsafe { libc::syscall(libc::SYS_close_range, 2, 1, 0) };
    let missing = std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS);
    layer(
        "descriptors",
        true,
        !missing,
        "A run inherits no descriptor but its own socket (close_range), and can open none (RLIMIT_NOFILE is 0).",
        "The kernel has no close_range; Linux 5.9 or later is needed.",
    )
}

fn resource_limits() -> Protection {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` lives through the call.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) } == 0;
    layer(
        "resource_limits",
        true,
        known,
        "Address space, processor time, core dumps, file sizes and descriptors of a run are bounded by the kernel (rlimits).",
        "The kernel does not tell its resource limits.",
    )
}

fn landlock(abi: u32) -> Protection {
    let gives = match abi {
        0 => "",
        1..=3 => "no file can be opened. TCP from Linux 6.7, signals from 6.12 on",
        4..=5 => "no file can be opened, no TCP port bound or connected. Signals from Linux 6.12 on",
        _ => "no file can be opened, no TCP port bound or connected, no signal sent out, no abstract socket reached",
    };
    layer(
        "landlock",
        false,
        abi > 0,
        &format!("A second lock behind seccomp (Landlock ABI {abi}): {gives}."),
        "The kernel has no Landlock, or it is not among the modules of its `lsm=` parameter (Linux 5.13 or later). Runs are confined by seccomp alone.",
    )
}

fn supervised_forks() -> Protection {
    layer(
        "supervised_forks",
        false,
        seccomp_action(libc::SECCOMP_RET_USER_NOTIF) && notifications(),
        "The template of a workflow that recurs can fork only when the host lets it, once for each run (seccomp user notification).",
        "The kernel cannot supervise forks (seccomp user notification, Linux 5.5 or later). Templates are not used: every run compiles its workflow again, which is as safe but takes twice the time.",
    )
}

fn unprivileged() -> Protection {
    // SAFETY: takes nothing, cannot fail.
    let uid = unsafe { libc::geteuid() };
    layer(
        "unprivileged",
        false,
        uid != 0,
        "The sandbox runs as a user of its own without privileges, so RLIMIT_NPROC forbids its runs to fork besides seccomp.",
        "The sandbox runs as root. It gives up every capability, but RLIMIT_NPROC does not bind root: run the service as a user of its own, as the systemd unit does.",
    )
}

fn seccomp_action(action: libc::c_uint) -> bool {
    // SAFETY: `action` lives through the call, which only reads it.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 }
}

/// Whether supervisors can answer "go on" (Linux 5.5), which is newer than the notification itself (5.0).
fn notifications() -> bool {
    let mut name = std::mem::MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: the struct lives through the call, which fills it with strings that end in zero.
    let release = unsafe {
        if libc::uname(name.as_mut_ptr()) != 0 {
            return false;
        }
        std::ffi::CStr::from_ptr((*name.as_ptr()).release.as_ptr()).to_string_lossy().into_owned()
    };
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 5)
}

fn landlock_abi() -> u32 {
    // `landlock_create_ruleset` with LANDLOCK_CREATE_RULESET_VERSION tells the ABI; the landlock crate keeps it to itself.
    // SAFETY: with this flag the kernel demands a null pointer and no size, and makes nothing.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, 1u32) };
    u32::try_from(abi).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn asking_changes_nothing_and_explains_everything() {
        let first = protections();
        assert_eq!(first, protections());
        assert!(first.sufficient(), "the tests of this crate need {:?}", first.missing().collect::<Vec<_>>());
        for layer in &first.layers {
            assert!(layer.explanation.len() > 20 && layer.explanation.ends_with('.'), "{layer:?}");
        }
        let names: std::collections::BTreeSet<_> = first.layers.iter().map(|layer| layer.name).collect();
        assert_eq!(names.len(), first.layers.len());
        let json = serde_json::to_value(&first).unwrap();
        assert_eq!(json["layers"][0]["name"], "no_new_privileges");
        // SAFETY: asks for a flag of this process.
        let confined = unsafe { libc::prctl(libc::PR_GET_SECCOMP, 0, 0, 0, 0) };
        assert!(confined == 0 || std::env::var_os("CI").is_some(), "asking attached a filter");
    }

    #[test]
    fn a_missing_second_lock_is_told_and_a_missing_first_one_refused() {
        let weak = layer("landlock", false, false, "held.", "gone.");
        let mut report = Protections { layers: vec![weak], landlock_abi: 0 };
        assert!(report.sufficient());
        assert_eq!(report.missing().next().unwrap().explanation, "gone.");
        report.layers.push(layer("seccomp", true, false, "held.", "gone."));
        assert!(!report.sufficient());
    }
}
