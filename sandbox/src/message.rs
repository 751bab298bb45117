//! What host and child say to each other, one message a frame.
//!
//! Everything that comes from a child is read here, with the job's limits at hand: a message that an honest child could
//! not have sent is an error, and the host kills its sender.

use thiserror::Error;

use crate::{
    frame,
    job::Input,
    limits::Limits,
    outcome::{Call, Outcome},
};

const JOB: u8 = 1;
const ANSWER: u8 = 2;
const READ: u8 = 1;
const LOG: u8 = 2;
const END: u8 = 3;

/// Bytes of a call besides its data: recipient and value count as output, the length does not.
const CALL_HEAD: usize = 52;

#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum MessageError {
    #[error("unknown tag {0}")]
    Tag(u8),
    #[error("{0}: cut short or too long")]
    Malformed(&'static str),
    #[error("{0}: beyond the job's limits")]
    Limit(&'static str),
}

/// From a child, after all checks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FromChild {
    Read {
        chain_id: u64,
        method: String,
        params: String,
    },
    Log(String),
    /// How the run ended, and how many answers it had consumed by then.
    End {
        outcome: Outcome,
        consumed: u32,
    },
}

/// Longest frame that an honest child sends under these limits.
pub(crate) fn frame_bound(limits: &Limits) -> usize {
    // Each call adds four bytes of length to its 52 of output, hence the eighth on top.
    let output = limits.output_bytes as usize;
    let largest =
        (output + output / 8).max(limits.read_request_bytes as usize).max(limits.log_line_bytes as usize).max(4_096);
    largest + 64
}

/// What a child reads of its job, besides the code.
#[derive(Debug, PartialEq)]
pub(crate) struct JobHead {
    pub(crate) input: Input,
    pub(crate) limits: Limits,
}

/// The job: the limits and the input's numbers, its texts and chains each with its length, then the source. Every run
/// reads it, so it is words and bytes rather than JSON.
pub(crate) fn write_job(out: &mut Vec<u8>, input: &Input, limits: &Limits, code: &[u8]) {
    let mut head = Vec::new();
    let words = [
        limits.wall_ms,
        limits.memory_bytes,
        limits.reads.into(),
        limits.read_request_bytes.into(),
        limits.read_answer_bytes.into(),
        limits.output_bytes.into(),
        limits.code_bytes.into(),
        limits.code_nesting.into(),
        limits.log_lines.into(),
        limits.log_line_bytes.into(),
        input.slot,
        input.timestamp_ms,
    ];
    words.iter().for_each(|word| head.extend_from_slice(&word.to_le_bytes()));
    head.extend_from_slice(&input.seed);
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    for text in [&input.workflow, &input.occurrence, &input.account, &input.args_json] {
        head.extend_from_slice(&length(text.len()));
        head.extend_from_slice(text.as_bytes());
    }
    head.extend_from_slice(&length(input.chains.len()));
    input.chains.iter().for_each(|chain| head.extend_from_slice(&chain.to_le_bytes()));
    frame::write(out, JOB, &[&head, code]);
}

pub(crate) fn read_job(tag: u8, payload: &[u8]) -> Option<(JobHead, &[u8])> {
    let mut rest = Some(payload).filter(|_| tag == JOB)?;
    let mut words = [0u64; 12];
    for word in &mut words {
        *word = u64::from_le_bytes(take(&mut rest)?);
    }
    let [wall_ms, memory_bytes, small @ .., slot, timestamp_ms] = words;
    let [
        reads,
        read_request_bytes,
        read_answer_bytes,
        output_bytes,
        code_bytes,
        code_nesting,
        log_lines,
        log_line_bytes,
    ] = small.map(|word| u32::try_from(word).unwrap_or(u32::MAX));
    let seed = take(&mut rest)?;
    let mut text = || -> Option<String> {
        let length = u32::from_le_bytes(take(&mut rest)?) as usize;
        let (text, after) = rest.split_at_checked(length)?;
        rest = after;
        String::from_utf8(text.to_vec()).ok()
    };
    let [workflow, occurrence, account, args_json] = [text()?, text()?, text()?, text()?];
    let chains = u32::from_le_bytes(take(&mut rest)?) as usize;
    let (chains, code) = rest.split_at_checked(chains.checked_mul(8)?)?;
    let chains = chains.as_chunks::<8>().0.iter().map(|chain| u64::from_le_bytes(*chain)).collect();
    let input = Input { workflow, occurrence, account, slot, timestamp_ms, seed, args_json, chains };
    let limits = Limits {
        wall_ms,
        memory_bytes,
        reads,
        read_request_bytes,
        read_answer_bytes,
        output_bytes,
        code_bytes,
        code_nesting,
        log_lines,
        log_line_bytes,
    };
    Some((JobHead { input, limits }, code))
}

/// Takes the next so many bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*bytes)
}

/// An answer: one byte of kind, then JSON (0), revert data (1) or nothing (2: the read failed).
pub(crate) fn write_answer(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    frame::write(out, ANSWER, &[&[kind], body]);
}

pub(crate) fn read_answer(tag: u8, payload: &[u8]) -> Option<(u8, &[u8])> {
    payload.split_first().filter(|_| tag == ANSWER).map(|(kind, body)| (*kind, body))
}

pub(crate) fn write_read(out: &mut Vec<u8>, chain_id: u64, method: &str, params: &str) {
    let length = u16::try_from(method.len()).unwrap_or(u16::MAX);
    frame::write(out, READ, &[&chain_id.to_le_bytes(), &length.to_le_bytes(), method.as_bytes(), params.as_bytes()]);
}

pub(crate) fn write_log(out: &mut Vec<u8>, line: &str) {
    frame::write(out, LOG, &[line.as_bytes()]);
}

/// The end: one byte of outcome, the count of consumed answers, then what the outcome carries.
pub(crate) fn write_end(out: &mut Vec<u8>, outcome: &Outcome, consumed: u32) {
    let mut body = Vec::new();
    let code = match outcome {
        Outcome::Calls(calls) => {
            for call in calls {
                body.extend_from_slice(&call.to);
                body.extend_from_slice(&call.value);
                body.extend_from_slice(&u32::try_from(call.data.len()).unwrap_or(u32::MAX).to_le_bytes());
                body.extend_from_slice(&call.data);
            }
            0
        }
        Outcome::NothingToDo => 1,
        Outcome::Threw { message, line } => {
            body.extend_from_slice(&line.unwrap_or(0).to_le_bytes());
            body.extend_from_slice(message.as_bytes());
            2
        }
        Outcome::OutOfMemory => 3,
        Outcome::TooManyReads => 4,
        Outcome::OutputTooLarge => 5,
        Outcome::CodeTooLarge => 6,
        Outcome::ForbiddenImport { specifier } => {
            body.extend_from_slice(specifier.as_bytes());
            7
        }
        Outcome::UnsupportedChain { id } => {
            body.extend_from_slice(&id.to_le_bytes());
            8
        }
        Outcome::BadOutput { message } => {
            body.extend_from_slice(message.as_bytes());
            9
        }
        Outcome::ReadFailed => 10,
        // Only the host can know these; a child that says so is treated as one that died.
        Outcome::TimedOut | Outcome::Crashed => 255,
    };
    frame::write(out, END, &[&[code], &consumed.to_le_bytes(), &body]);
}

/// Reads one frame of a child.
pub(crate) fn from_child(tag: u8, payload: &[u8], limits: &Limits) -> Result<FromChild, MessageError> {
    match tag {
        READ => {
            let short = MessageError::Malformed("read");
            let Some((chain, rest)) = payload.split_first_chunk::<8>() else { return Err(short) };
            let Some((length, rest)) = rest.split_first_chunk::<2>() else { return Err(short) };
            if rest.len() > limits.read_request_bytes as usize {
                return Err(MessageError::Limit("read"));
            }
            let Some((method, params)) = rest.split_at_checked(u16::from_le_bytes(*length) as usize) else {
                return Err(short);
            };
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| MessageError::Malformed("read"));
            Ok(FromChild::Read { chain_id: u64::from_le_bytes(*chain), method: text(method)?, params: text(params)? })
        }
        LOG if payload.len() > limits.log_line_bytes as usize => Err(MessageError::Limit("log")),
        LOG => Ok(FromChild::Log(String::from_utf8_lossy(payload).into_owned())),
        END => {
            let (code, rest) = payload.split_first().ok_or(MessageError::Malformed("end"))?;
            let (consumed, body) = rest.split_first_chunk::<4>().ok_or(MessageError::Malformed("end"))?;
            Ok(FromChild::End { outcome: outcome(*code, body, limits)?, consumed: u32::from_le_bytes(*consumed) })
        }
        other => Err(MessageError::Tag(other)),
    }
}

fn outcome(code: u8, body: &[u8], limits: &Limits) -> Result<Outcome, MessageError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.get(..4_096).unwrap_or(bytes)).into_owned();
    Ok(match code {
        0 => Outcome::Calls(calls(body, limits.output_bytes as usize)?),
        1 => Outcome::NothingToDo,
        2 => {
            let (line, message) = body.split_first_chunk::<4>().ok_or(MessageError::Malformed("threw"))?;
            let line = u32::from_le_bytes(*line);
            Outcome::Threw { message: text(message), line: (line > 0).then_some(line) }
        }
        3 => Outcome::OutOfMemory,
        4 => Outcome::TooManyReads,
        5 => Outcome::OutputTooLarge,
        6 => Outcome::CodeTooLarge,
        7 => Outcome::ForbiddenImport { specifier: text(body) },
        8 => {
            let id = body.first_chunk::<8>().ok_or(MessageError::Malformed("unsupported chain"))?;
            Outcome::UnsupportedChain { id: u64::from_le_bytes(*id) }
        }
        9 => Outcome::BadOutput { message: text(body) },
        10 => Outcome::ReadFailed,
        other => return Err(MessageError::Tag(other)),
    })
}

fn calls(mut body: &[u8], limit: usize) -> Result<Vec<Call>, MessageError> {
    let short = || MessageError::Malformed("calls");
    let mut calls = Vec::new();
    let mut output = 0;
    while !body.is_empty() {
        let (to, rest) = body.split_first_chunk::<20>().ok_or_else(short)?;
        let (value, rest) = rest.split_first_chunk::<32>().ok_or_else(short)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (data, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
        output += CALL_HEAD + data.len();
        if output > limit {
            return Err(MessageError::Limit("calls"));
        }
        calls.push(Call { to: *to, value: *value, data: data.to_vec() });
        body = rest;
    }
    if calls.is_empty() { Err(short()) } else { Ok(calls) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outcomes() -> impl Strategy<Value = Outcome> {
        let call = (any::<[u8; 20]>(), any::<[u8; 32]>(), prop::collection::vec(any::<u8>(), 0..100))
            .prop_map(|(to, value, data)| Call { to, value, data });
        prop_oneof![
            prop::collection::vec(call, 1..10).prop_map(Outcome::Calls),
            Just(Outcome::NothingToDo),
            ("[a-z é]{0,40}", prop::option::of(1u32..1_000))
                .prop_map(|(message, line)| Outcome::Threw { message, line }),
            Just(Outcome::OutOfMemory),
            Just(Outcome::OutputTooLarge),
            Just(Outcome::ReadFailed),
            "[a-z:/]{0,40}".prop_map(|specifier| Outcome::ForbiddenImport { specifier }),
            any::<u64>().prop_map(|id| Outcome::UnsupportedChain { id }),
            "[a-z]{0,40}".prop_map(|message| Outcome::BadOutput { message }),
        ]
    }

    proptest! {
        #[test]
        fn jobs_come_back_as_they_went(
            texts in any::<[String; 4]>(),
            numbers in any::<[u64; 4]>(),
            small in any::<[u32; 8]>(),
            seed in any::<[u8; 32]>(),
            chains in prop::collection::vec(any::<u64>(), 0..5),
            code in prop::collection::vec(any::<u8>(), 0..50),
            cut in any::<prop::sample::Index>(),
        ) {
            let [workflow, occurrence, account, args_json] = texts;
            let [slot, timestamp_ms, wall_ms, memory_bytes] = numbers;
            let input = Input { workflow, occurrence, account, slot, timestamp_ms, seed, args_json, chains };
            let [reads, read_request_bytes, read_answer_bytes, output_bytes, code_bytes, code_nesting, log_lines, log_line_bytes] = small;
            let limits = Limits {
                wall_ms, memory_bytes, reads, read_request_bytes, read_answer_bytes, output_bytes, code_bytes, code_nesting, log_lines, log_line_bytes,
            };
            let mut out = Vec::new();
            write_job(&mut out, &input, &limits, &code);
            let mut decoder = frame::Decoder::new(usize::MAX);
            decoder.push(&out);
            let (tag, payload) = decoder.next().unwrap().unwrap();
            let head = payload.len() - code.len();
            prop_assert_eq!(read_job(tag, payload), Some((JobHead { input, limits }, code.as_slice())));
            prop_assert_eq!(read_job(tag, &payload[..cut.index(head)]), None);
        }

        #[test]
        fn outcomes_come_back_as_they_went(outcome in outcomes(), consumed in any::<u32>()) {
            let limits = Limits::default();
            let mut out = Vec::new();
            write_end(&mut out, &outcome, consumed);
            let mut decoder = frame::Decoder::new(frame_bound(&limits));
            decoder.push(&out);
            let (tag, payload) = decoder.next().unwrap().unwrap();
            prop_assert_eq!(from_child(tag, payload, &limits), Ok(FromChild::End { outcome, consumed }));
        }

        #[test]
        fn any_bytes_are_read_or_refused(tag in any::<u8>(), payload in prop::collection::vec(any::<u8>(), 0..400)) {
            let limits = Limits { output_bytes: 128, read_request_bytes: 64, log_line_bytes: 32, ..Limits::default() };
            match from_child(tag, &payload, &limits) {
                Ok(FromChild::Read { method, params, .. }) => prop_assert!(method.len() + params.len() <= 64),
                Ok(FromChild::End { outcome: Outcome::Calls(calls), .. }) => prop_assert!(calls.iter().map(|c| 52 + c.data.len()).sum::<usize>() <= 128),
                Ok(FromChild::End { outcome, .. }) => prop_assert!(!matches!(outcome, Outcome::TimedOut | Outcome::Crashed)),
                _ => {}
            }
        }
    }

    #[test]
    fn the_bound_fits_the_largest_honest_output() {
        let limits = Limits { output_bytes: 5_200, ..Limits::default() };
        let calls = vec![Call { to: [1; 20], value: [2; 32], data: Vec::new() }; 100];
        let mut out = Vec::new();
        write_end(&mut out, &Outcome::Calls(calls), u32::MAX);
        assert!(out.len() <= frame_bound(&limits));
    }
}
