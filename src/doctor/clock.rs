//! The clock: whether something keeps it, and what the chains say to it.

use ditto_core::clock::{Clock, SystemClock};
use ditto_core::telemetry::kernel_clock::KernelClock;

use super::chain::Heads;
use super::finding::Findings;
use crate::config::OperatorConfig;

const SECTION: &str = "clock";
/// A proposal more than 200 ms early by a node's clock is not heard: half of that is left for the network.
const GOOD_ERROR_MS: u64 = 100;
/// A newest block may be this much in the future: its time is a whole second, and miners may be a little ahead.
const AHEAD_SECONDS: u64 = 2;
/// A newest block older than this means a chain that stands still, a node that lags, or a clock that is ahead.
const OLD_SECONDS: u64 = 60;

/// Asks the kernel whether something synchronises its clock.
pub fn synchronised(findings: &mut Findings) {
    let fix = "Run a time service, such as systemd-timesyncd or chrony: `timedatectl set-ntp true`.";
    let clock = match KernelClock::read() {
        Ok(clock) => clock,
        Err(cause) => {
            findings.warn(SECTION, "synchronisation", format!("the kernel does not tell: {cause}"), fix);
            return;
        }
    };
    let error_ms = clock.max_error_us / 1_000;
    if !clock.synchronised {
        let detail =
            "the kernel does not know of anything that keeps its clock; in a virtual machine or container the host may";
        findings.warn(SECTION, "synchronisation", detail, fix);
    } else if error_ms > GOOD_ERROR_MS {
        let detail = format!("synchronised, but it may be {error_ms} ms off; proposals early by 200 ms are not heard");
        findings.warn(SECTION, "synchronisation", detail, "Use nearer time servers.");
    } else {
        findings.ok(SECTION, "synchronisation", format!("kept, to {error_ms} ms at worst"));
    }
}

/// Compares the clock with the chains' newest blocks.
pub fn against_chains(findings: &mut Findings, config: &OperatorConfig, heads: &Heads) {
    let now = SystemClock.now_ms() / 1_000;
    for (chain, head) in heads {
        let what = format!("against chain {chain}");
        if head.timestamp > now + AHEAD_SECONDS {
            let detail = format!("its newest block is {} s in the future", head.timestamp - now);
            findings.fail(SECTION, what, detail, "The clock is behind: synchronise it.");
        } else if now > head.timestamp + OLD_SECONDS {
            let detail = format!("its newest block is {} s old", now - head.timestamp);
            let fix = "The chain stands still, the node lags, or the clock is ahead: compare with an explorer.";
            findings.warn(SECTION, what, detail, fix);
        } else {
            findings.ok(SECTION, what, format!("its newest block is {} s old", now.saturating_sub(head.timestamp)));
        }
    }
    let schedule = config.network.schedule();
    match schedule.slot_at_ms(now * 1_000) {
        Some(slot) => findings.ok(SECTION, "slot", format!("it is slot {slot} now")),
        None => {
            let fix = "Is `network.genesis_seconds` right, or does the network begin later?";
            findings.warn(SECTION, "slot", "it is before slot 0", fix);
        }
    }
}
