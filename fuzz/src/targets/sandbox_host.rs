//! The host's side of a whole run against a child that has been taken over: it may send any bytes at any time, close its
//! end, and never read; reads are answered in any order, late, twice or never; the deadline may pass at any moment.
use std::{
    os::fd::OwnedFd,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use crate::{
    frame,
    host::{
        run::{self, Origin, Queued, Run},
        wake::Bell,
    },
    job::{Input, Job, ReadAnswer, ReadReply, ReadRequest, Reads},
    limits::Limits,
    message,
    outcome::{Call, Outcome, Report},
};
use arbitrary::{Arbitrary, Unstructured};
use rustix::{
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair},
    process::{Pid, PidfdFlags, pidfd_open},
};

const CHAIN: u64 = 31337;

#[derive(Arbitrary, Debug)]
enum Answer {
    Ok(String),
    Long,
    Reverted(Vec<u8>),
    Failed,
    Dropped,
}

#[derive(Arbitrary, Debug)]
enum End {
    Calls(Vec<([u8; 20], Vec<u8>)>),
    Nothing,
    Threw(String, Option<u32>),
    ReadFailed,
    OutOfMemory,
    Import(String),
    Chain(u64),
}

#[derive(Arbitrary, Debug)]
enum Step {
    /// The zygote says that the child is there.
    Start,
    /// The child speaks.
    Bytes(Vec<u8>),
    Frame(u8, Vec<u8>),
    Read {
        other_chain: bool,
        method: String,
        params: String,
    },
    Log(String),
    End(End, u8),
    /// The child listens.
    Listen(u16),
    Close,
    /// The host's loop.
    Turn,
    /// Whoever answers reads.
    Answer(u8, Answer),
    /// The deadline passes.
    TimeOut,
}

#[derive(Arbitrary, Debug)]
struct Life {
    reads: u8,
    log_lines: u8,
    output: u16,
    steps: Vec<Step>,
}

#[derive(Default)]
struct Desk(Mutex<Vec<Option<ReadReply>>>);

impl Reads for Desk {
    fn read(&self, request: ReadRequest, reply: ReadReply) {
        assert_eq!(request.chain_id, CHAIN, "a chain that the job does not have reached the node");
        self.0.lock().expect("one thread").push(Some(reply));
    }
}

/// A process that is dead already: killing it does nothing, and its number cannot be another's while it is not reaped.
static DEAD: LazyLock<OwnedFd> = LazyLock::new(|| {
    // SAFETY: the child does nothing but end.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(0) }
    }
    pidfd_open(Pid::from_raw(pid).expect("a child"), PidfdFlags::empty()).expect("a pidfd")
});

fn job(life: &Life) -> (Job, Limits) {
    let limits = Limits {
        reads: u32::from(life.reads % 8),
        log_lines: u32::from(life.log_lines % 8),
        output_bytes: u32::from(life.output).max(52),
        read_request_bytes: 128,
        read_answer_bytes: 64,
        log_line_bytes: 32,
        ..Limits::default()
    };
    let input = Input {
        workflow: "1".into(),
        occurrence: "1".into(),
        account: "0x1111111111111111111111111111111111111111".into(),
        slot: 1,
        timestamp_ms: 1,
        seed: [0; 32],
        args_json: "{}".into(),
        chains: vec![CHAIN],
    };
    (Job { code: Arc::from(&b"export default {}"[..]), input, limits: limits.clone() }, limits)
}

fn speak(step: &Step) -> Vec<u8> {
    let mut out = Vec::new();
    match step {
        Step::Bytes(bytes) => out.extend_from_slice(bytes),
        Step::Frame(tag, payload) => frame::write(&mut out, *tag, &[payload]),
        Step::Read { other_chain, method, params } => {
            message::write_read(&mut out, if *other_chain { 5 } else { CHAIN }, method, params)
        }
        Step::Log(line) => message::write_log(&mut out, line),
        Step::End(end, consumed) => {
            let outcome = match end {
                End::Calls(calls) => Outcome::Calls(
                    calls.iter().map(|(to, data)| Call { to: *to, value: [0; 32], data: data.clone() }).collect(),
                ),
                End::Nothing => Outcome::NothingToDo,
                End::Threw(message, line) => Outcome::Threw { message: message.clone(), line: *line },
                End::ReadFailed => Outcome::ReadFailed,
                End::OutOfMemory => Outcome::OutOfMemory,
                End::Import(specifier) => Outcome::ForbiddenImport { specifier: specifier.clone() },
                End::Chain(id) => Outcome::UnsupportedChain { id: *id },
            };
            message::write_end(&mut out, &outcome, u32::from(*consumed));
        }
        _ => {}
    }
    out
}

/// None: any bytes make one.
pub fn examples() -> Vec<Vec<u8>> {
    Vec::new()
}

pub fn run(data: &[u8]) {
    let Ok(life) = Life::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let (job, limits) = job(&life);
    let desk = Arc::new(Desk::default());
    let reports: Arc<Mutex<Vec<Report>>> = Arc::default();
    let told = reports.clone();
    let done = Box::new(move |report| told.lock().expect("one thread").push(report));
    let queued = Queued { job, reads: desk.clone(), done, lost: 0 };
    let Ok((ours, theirs)) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None) else {
        return;
    };
    let Ok(bell) = Bell::new().map(Arc::new) else { return };
    let mut run = Run::new(queued, Origin::Zygote, 7, limits.clone(), ours, Duration::from_secs(1));
    let mut theirs = Some(theirs);
    let mut chunk = vec![0; 4_096];
    let mut started = false;
    run.write();
    for step in &life.steps {
        match step {
            Step::Start if !started => {
                started = true;
                run.start(DEAD.try_clone().ok());
            }
            Step::Start => {}
            Step::Close => theirs = None,
            Step::Listen(length) => {
                if let Some(socket) = &theirs {
                    // Nothing there is as good.
                    let _ = recv(socket, &mut vec![0; usize::from(*length).max(1)][..], RecvFlags::DONTWAIT);
                }
            }
            Step::Turn => {
                run.write();
                run.read(&mut chunk, &bell);
                while let Some(delivery) = bell.take_delivery() {
                    run.answer(delivery.index, delivery.answer);
                }
            }
            Step::Answer(index, answer) => {
                let reply = desk.0.lock().expect("one thread").get_mut(usize::from(*index)).and_then(Option::take);
                let Some(reply) = reply else { continue };
                match answer {
                    Answer::Ok(text) => reply.answer(ReadAnswer::Ok(text.clone())),
                    Answer::Long => reply.answer(ReadAnswer::Ok("0".repeat(100))),
                    Answer::Reverted(data) => reply.answer(ReadAnswer::Reverted(data.clone())),
                    Answer::Failed => reply.answer(ReadAnswer::Failed),
                    Answer::Dropped => drop(reply),
                }
            }
            Step::TimeOut => run.end(Outcome::TimedOut),
            step => {
                let bytes = speak(step);
                if let Some(socket) = &theirs {
                    // What does not fit, a child would have to wait for.
                    let _ = send(socket, &bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
                }
            }
        }
        // An ended run says nothing more and takes nothing more.
        if run.ended.is_some() {
            assert!(!run.computing());
        }
    }
    run.drain(&mut chunk, &bell);
    // Replies may come after the end: they go nowhere.
    desk.0.lock().expect("one thread").clear();
    let timed_out = life.steps.iter().any(|step| matches!(step, Step::TimeOut));
    run.finish(Duration::ZERO, 0);
    let reports = reports.lock().expect("one thread");
    let [report] = reports.as_slice() else { panic!("{} reports", reports.len()) };
    assert!(report.reads.len() <= limits.reads as usize && report.logs.len() <= limits.log_lines as usize);
    assert!(report.logs.iter().all(|line| line.len() <= 3 * limits.log_line_bytes as usize));
    match &report.outcome {
        Outcome::Calls(calls) => {
            assert!(!calls.is_empty());
            assert!(calls.iter().map(|call| 52 + call.data.len()).sum::<usize>() <= limits.output_bytes as usize);
        }
        Outcome::TimedOut => assert!(timed_out, "only the host's clock tells"),
        _ => {}
    }
    let _ = run::chunk;
}
