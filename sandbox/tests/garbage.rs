//! A live child that says what no honest one says. This executable starts itself as the zygote, and then it lies.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../src/fd_passing.rs"]
mod fd_passing;
mod support;

use std::os::fd::{AsFd, OwnedFd};

use ditto_sandbox::{Outcome, Sandbox, SandboxConfig};
use rustix::{
    net::{RecvFlags, SendFlags, recv, send},
    process::{PidfdFlags, pidfd_open},
};
use support::*;

/// An answer that says "failed", as the host sends it.
const FAILED_ANSWER: [u8; 6] = [2, 0, 0, 0, 2, 2];

fn frame(tag: u8, payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32 + 1).to_le_bytes()[..], &[tag], payload].concat()
}

fn read(chain: u64) -> Vec<u8> {
    frame(1, &[&chain.to_le_bytes()[..], &[1, 0], b"m[]"].concat())
}

/// The code of an outcome and the answers consumed, for outcomes that carry nothing.
fn end(outcome: u8, consumed: u32) -> Vec<u8> {
    frame(3, &[&[outcome][..], &consumed.to_le_bytes()].concat())
}

/// What a child is up to, what it sends at once, and what after its read failed, if it waits for that.
type Lie = (&'static str, Vec<u8>, Option<Vec<u8>>);

fn lies() -> Vec<Lie> {
    let lie = |what, bytes| (what, bytes, None);
    vec![
        lie("noise", (0..=255).rev().cycle().take(100_000).collect()),
        lie("a frame without a tag", vec![0; 4]),
        lie("an unknown tag", frame(9, b"x")),
        lie("an end cut short", frame(3, &[1, 0])),
        lie("an unknown outcome", end(77, 0)),
        lie("an outcome that is the host's to tell", end(255, 0)),
        lie("answers consumed that nobody sent", end(1, 1)),
        lie("a great many of them", end(1, u32::MAX)),
        lie("a failed read that nobody asked", end(10, 0)),
        lie("a chain that the job does not have", read(1)),
        lie("reads without end", read(CHAIN).repeat(1_000)),
        lie("lines without end", frame(2, b"x").repeat(1_000)),
        lie("an answer before it came", [read(CHAIN), end(1, 2)].concat()),
        ("a failed read that it survives", read(CHAIN), Some(end(1, 1))),
        ("a failed read that it did not consume", read(CHAIN), Some(end(10, 0))),
    ]
}

fn main() {
    // The marker of a zygote's command line.
    if std::env::args().any(|arg| arg == "--ditto-sandbox-zygote") {
        lie();
    } else if !std::env::args().any(|arg| arg == "--list") {
        every_lie_is_a_crash();
        println!("every_lie_is_a_crash ... ok");
    }
}

fn every_lie_is_a_crash() {
    let program = std::env::current_exe().unwrap();
    let sandbox = Sandbox::start(SandboxConfig { program: Some(program), ..config(1) }).unwrap();
    for (what, _, _) in lies() {
        let report = sandbox.run_blocking(body(""), none());
        assert_eq!(report.outcome, Outcome::Crashed, "{what}");
        assert!(report.reads.len() <= 64 && report.logs.len() <= 64, "{what}");
    }
    // After the last lie the zygote's children are honest, and the same worker believes them.
    assert_eq!(sandbox.run_blocking(body(""), none()).outcome, Outcome::NothingToDo);
}

fn words(words: [u64; 4]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn lie() {
    let control = std::io::stdin();
    fd_passing::send(&control, &words([0; 4]), None).unwrap();
    let mut order = [0; 24];
    for index in 0.. {
        let Ok((24, Some(socket))) = fd_passing::receive(&control, &mut order) else { return };
        let token = u64::from_le_bytes(order[..8].try_into().unwrap());
        // SAFETY: this process has one thread.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            speak(index, socket);
        }
        drop(socket);
        let pidfd = pidfd_open(rustix::process::Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
        fd_passing::send(&control, &words([1, token, 0, 0]), Some(pidfd.as_fd())).unwrap();
        // SAFETY: waits for our own child and keeps nothing of it. It ends by the host's hand only.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        fd_passing::send(&control, &words([3, token, 0, 0]), None).unwrap();
    }
}

/// Says its part and then just lives.
fn speak(index: usize, socket: OwnedFd) -> ! {
    // Should the zygote die before us, nobody would end us.
    // SAFETY: asks for a signal; touches no memory.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, 0, 0, 0) };
    let (_, first, then) = lies().into_iter().nth(index).unwrap_or(("the truth", end(1, 0), None));
    // The host may kill us before it took everything.
    send(&socket, &first, SendFlags::NOSIGNAL).ok();
    if let Some(then) = then {
        let mut heard = Vec::new();
        let mut chunk = [0; 4_096];
        while !heard.ends_with(&FAILED_ANSWER) {
            let (length, _) = recv(&socket, &mut chunk[..], RecvFlags::empty()).unwrap();
            heard.extend_from_slice(&chunk[..length]);
        }
        send(&socket, &then, SendFlags::NOSIGNAL).ok();
    }
    loop {
        std::thread::park();
    }
}
