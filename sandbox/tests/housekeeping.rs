//! Processes and descriptors: nothing is left behind, and what dies is replaced. In a file of its own, because it counts
//! and kills the children of its process.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Mutex;

use support::*;

static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn two_hundred_runs_leave_nothing_behind() {
    // Both look at all children of this process, so not both at once.
    let _alone = ALONE.lock();
    let sandbox = sandbox(1);
    sandbox.run_blocking(body(""), none());
    let fds = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    // A template's socket, process and supervision, for each of the two codes.
    let before = fds() + 6;
    for index in 0..200 {
        let code = if index % 20 == 0 { "throw 1;" } else { "return [{ to: ctx.account }];" };
        sandbox.run_blocking(body(code), none());
    }
    assert!(fds() <= before + 2, "{} descriptors, {before} before", fds());
    let zygotes = children_of(std::process::id());
    // What a template forks is the zygote's child too, so only the templates of the two codes are left.
    let grandchildren: Vec<u32> = zygotes.iter().flat_map(|zygote| children_of(*zygote)).collect();
    assert!(grandchildren.len() <= 2, "{grandchildren:?} are left");
    for template in grandchildren {
        let count = std::fs::read_dir(format!("/proc/{template}/fd")).map(|list| list.count()).unwrap_or(0);
        assert!(count <= 1, "a template has {count} descriptors");
        assert_eq!(children_of(template), [] as [u32; 0]);
    }
    for zygote in zygotes {
        let count = std::fs::read_dir(format!("/proc/{zygote}/fd")).map(|list| list.count()).unwrap_or(0);
        assert!(count < 12, "the zygote has {count} descriptors");
    }
}

#[test]
fn a_dead_zygote_is_replaced_and_loses_no_job() {
    let _alone = ALONE.lock();
    let before = measured("ditto_sandbox_zygotes_lost_total");
    let sandbox = sandbox(1);
    sandbox.run_blocking(body(""), none());
    for _ in 0..2 {
        for zygote in children_of(std::process::id()) {
            // SAFETY: a process that this test's process started.
            unsafe { libc::kill(zygote as i32, libc::SIGKILL) };
        }
        let report = sandbox.run_blocking(body("return [{ to: ctx.account }];"), none());
        assert_eq!(report.outcome.kind(), "calls");
    }
    assert!(measured("ditto_sandbox_zygotes_lost_total") >= before + 2.0);
    assert!(measured("ditto_sandbox_zygotes") > 0.5);
    sandbox.shutdown();
    assert!(measured("ditto_sandbox_zygotes").abs() < 0.5, "a sandbox that has ended has none");
}

fn children_of(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    found
}
