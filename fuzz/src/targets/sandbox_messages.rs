//! What a child sends, read by the host: any bytes, cut anywhere.
use crate::{
    frame::{self, Decoder},
    limits::Limits,
    message::{self, FromChild},
    outcome::{Call, Outcome},
};

fn limits() -> Limits {
    Limits { output_bytes: 256, read_request_bytes: 64, log_line_bytes: 32, ..Limits::default() }
}

pub fn examples() -> Vec<Vec<u8>> {
    let mut all = vec![7];
    let (mut read, mut log) = (vec![3], vec![255]);
    message::write_read(&mut read, 31337, "eth_call", "[]");
    message::write_log(&mut log, "a line");
    let mut seeds = vec![read, log];
    for outcome in [
        Outcome::Calls(vec![Call { to: [1; 20], value: [2; 32], data: vec![3; 9] }]),
        Outcome::Threw { message: "why".into(), line: Some(3) },
        Outcome::UnsupportedChain { id: 5 },
        Outcome::ForbiddenImport { specifier: "node:fs".into() },
        Outcome::NothingToDo,
    ] {
        message::write_end(&mut all, &outcome, 1);
    }
    seeds.push(all);
    seeds
}

pub fn run(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else { return };
    let limits = limits();
    let bound = message::frame_bound(&limits);
    let mut decoder = Decoder::new(bound);
    for piece in stream.chunks(usize::from(*cut) + 1) {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Err(_) => return,
                Ok(None) => break,
                Ok(Some((tag, payload))) => {
                    assert!(payload.len() < bound);
                    check(tag, payload, &limits);
                }
            }
        }
    }
}

fn check(tag: u8, payload: &[u8], limits: &Limits) {
    let Ok(message) = message::from_child(tag, payload, limits) else { return };
    let mut again = Vec::new();
    match &message {
        FromChild::Read { chain_id, method, params } => {
            assert!(method.len() + params.len() <= limits.read_request_bytes as usize);
            message::write_read(&mut again, *chain_id, method, params);
        }
        FromChild::Log(line) => {
            // What is no UTF-8 is replaced, three bytes for one at most.
            assert!(line.len() <= 3 * limits.log_line_bytes as usize);
            return;
        }
        FromChild::End { outcome, consumed } => {
            assert!(!matches!(outcome, Outcome::TimedOut | Outcome::Crashed), "only the host can know");
            if let Outcome::Calls(calls) = outcome {
                assert!(!calls.is_empty());
                assert!(calls.iter().map(|call| 52 + call.data.len()).sum::<usize>() <= limits.output_bytes as usize);
            }
            message::write_end(&mut again, outcome, *consumed);
        }
    }
    // What was understood means the same when it is said again.
    let mut decoder = Decoder::new(usize::MAX);
    decoder.push(&again);
    let (tag, payload) =
        decoder.next().ok().flatten().map(|(tag, payload)| (tag, payload.to_vec())).unwrap_or_default();
    let bound = Limits { output_bytes: u32::MAX, read_request_bytes: u32::MAX, ..limits.clone() };
    assert_eq!(message::from_child(tag, &payload, &bound).as_ref(), Ok(&message));
    let _ = frame::write;
}
