//! What the operating system says of this process, by the names that every Prometheus dashboard knows.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Unit, describe_gauge, gauge};

pub(super) fn describe() {
    describe_gauge!("process_resident_memory_bytes", Unit::Bytes, "Memory of the process that is in RAM.");
    describe_gauge!("process_open_fds", Unit::Count, "Open file descriptors.");
    describe_gauge!("process_max_fds", Unit::Count, "File descriptors that may be open.");
    describe_gauge!("process_threads", Unit::Count, "Threads.");
    // A gauge by its type, for a counter here is an integer, and an idle node uses a second in minutes.
    describe_gauge!("process_cpu_seconds_total", Unit::Seconds, "CPU time used, user and system, since the start.");
    describe_gauge!(
        "ditto_clock_seconds",
        Unit::Seconds,
        "This machine's clock when it was scraped, in seconds since the Unix epoch: Prometheus' own time beside it tells drift."
    );
}

/// Reads /proc. What cannot be read is left as it was: a metric is no reason to fail.
#[allow(clippy::cast_precision_loss)] // none of these comes near 2^53
pub(super) fn measure() {
    if let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) {
        gauge!("ditto_clock_seconds").set(now.as_secs_f64());
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        if let Some(kib) = field(&status, "VmRSS:") {
            gauge!("process_resident_memory_bytes").set(kib as f64 * 1024.0);
        }
        if let Some(threads) = field(&status, "Threads:") {
            gauge!("process_threads").set(threads as f64);
        }
    }
    if let Ok(limits) = fs::read_to_string("/proc/self/limits")
        && let Some(most) = field(&limits, "Max open files")
    {
        gauge!("process_max_fds").set(most as f64);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        gauge!("process_open_fds").set(open.count() as f64);
    }
    if let Some(seconds) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(cpu_seconds) {
        gauge!("process_cpu_seconds_total").set(seconds);
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[allow(clippy::cast_precision_loss)] // a double has room for the age of the universe in ticks
fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name, which may hold spaces; 14 and 15 are user and system time, in hundredths
    // of a second on every Linux.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / 100.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_name_with_spaces() {
        assert_eq!(cpu_seconds("42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 153 0 0"), Some(4.03));
    }

    #[test]
    fn what_the_process_uses_is_seen_at_the_next_scrape() {
        let used = |name| crate::telemetry::measured(name, &[]);
        let before = used("process_cpu_seconds_total");
        // Two of the hundredths that the kernel counts in, however long that takes.
        while used("process_cpu_seconds_total") < before + 0.02 {
            std::hint::black_box((0..100_000u64).sum::<u64>());
        }
        assert!(used("ditto_clock_seconds") > 1.7e9);
    }

    #[test]
    fn this_process_has_threads_and_memory() {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        assert!(field(&status, "VmRSS:").unwrap() > 100);
        assert!(field(&status, "Threads:").unwrap() >= 1);
    }
}
