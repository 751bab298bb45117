//! What the operating system gives a process here: cores, memory, descriptors.

use rustix::process::{Resource, getrlimit};

use super::finding::Findings;
use crate::config::OperatorConfig;

const SECTION: &str = "machine";
/// Descriptors: two for each run, peers, the chains' nodes, the store.
const DESCRIPTORS: u64 = 4_096;
/// Memory of the operator itself: engine, zygotes, reads of a slot.
const OWN_MEMORY: u64 = 512 << 20;

pub fn examine(findings: &mut Findings, config: Option<&OperatorConfig>) {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    match cores {
        1 => findings.warn(SECTION, "cores", "1", "Two at least: simulation takes a core for as long as it runs."),
        cores => findings.ok(SECTION, "cores", cores.to_string()),
    }

    let sandbox = config.map(|config| config.sandbox.clone()).unwrap_or_default();
    let computing = (sandbox.workers * sandbox.running_per_worker) as u64;
    let wanted = OWN_MEMORY + computing * sandbox.limits.memory_bytes;
    if let Some(memory) = memory() {
        let (has, wants) = (memory >> 20, wanted >> 20);
        let detail = format!("{has} MiB; {computing} runs at their limit and the operator take {wants} MiB");
        if memory < wanted {
            findings.warn(SECTION, "memory", detail, "Give it more memory, or lower `sandbox.workers`.");
        } else {
            findings.ok(SECTION, "memory", detail);
        }
    }

    let descriptors = getrlimit(Resource::Nofile).current;
    match descriptors {
        Some(limit) if limit < DESCRIPTORS => findings.warn(
            SECTION,
            "open files",
            format!("a process here may have {limit} open at once; the service's own limit may be another"),
            format!("Give the service {DESCRIPTORS} or more: LimitNOFILE= in its unit, or `ulimit -n`."),
        ),
        Some(limit) => findings.ok(SECTION, "open files", format!("{limit} at once")),
        None => findings.ok(SECTION, "open files", "as many as it likes"),
    }
}

/// The machine's memory in bytes, or less where a control group allows less.
fn memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1_024;
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = group.and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX);
    Some(total.min(limit))
}
