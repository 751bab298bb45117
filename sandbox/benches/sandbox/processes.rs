//! What the bench reads off /proc about itself and its zygotes, templates and runs.

use std::time::Duration;

/// This process's children, over all its threads.
pub fn children_of(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    found
}

/// Zygotes, and below each its templates and runs.
pub fn sandboxed() -> Vec<u32> {
    let zygotes = children_of(std::process::id());
    let below: Vec<u32> = zygotes.iter().flat_map(|zygote| children_of(*zygote)).collect();
    [zygotes, below].concat()
}

/// What this process and everything sandboxed, living and reaped, took so far.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    pub user: Duration,
    pub system: Duration,
    /// Page faults that needed no disk.
    pub faults: u64,
}

impl Usage {
    pub fn now() -> Usage {
        let mut sum = Usage::default();
        for pid in std::iter::once(std::process::id()).chain(sandboxed()) {
            let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // The name may hold spaces; proc_pid_stat(5) counts what is behind it from 3.
            let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
            let fields: Vec<u64> = rest.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
            let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
            // Ticks are hundredths of a second for every program, whatever the kernel's own.
            sum.user += Duration::from_millis(10 * (field(14) + field(16)));
            sum.system += Duration::from_millis(10 * (field(15) + field(17)));
            sum.faults += field(10) + field(11);
        }
        sum
    }

    pub fn since(self, before: Usage) -> Usage {
        Usage {
            user: self.user - before.user,
            system: self.system - before.system,
            faults: self.faults - before.faults,
        }
    }

    pub fn cpu(self) -> Duration {
        self.user + self.system
    }
}

/// One number of kilobytes out of a process's `file`, in bytes.
fn kilobytes(pid: u32, file: &str, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Resident memory in bytes, pages that several processes map counted once (proportional set size).
pub fn resident(pids: &[u32]) -> u64 {
    pids.iter().map(|pid| kilobytes(*pid, "smaps_rollup", "Pss:")).sum()
}

/// Children of the sandbox's processes that are dead and not reaped.
pub fn zombies() -> usize {
    let state = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    sandboxed().into_iter().filter(|pid| state(*pid).contains(") Z ")).count()
}

/// Keeps this process and all it starts on these cores.
pub fn pin(cores: &[usize]) {
    // SAFETY: a zeroed set is an empty one; it lives through the call.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        cores.iter().for_each(|core| libc::CPU_SET(*core, &mut set));
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}
