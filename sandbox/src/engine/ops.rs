//! Everything JavaScript can call. An op that ends the run never returns: the outcome leaves at once and the process ends,
//! so that no JavaScript runs after it.

use std::cell::{Cell, RefCell};

use deno_core::{op2, v8};

use super::{abi, compile, lines, runtime::Port};
use crate::outcome::{Call, Outcome};

/// What the ops need of the run, set when the child has its job.
pub(super) struct Running {
    pub(super) port: Box<dyn Port>,
    pub(super) source: String,
    pub(super) max_reads: u32,
    pub(super) max_output: u32,
    pub(super) max_log_lines: u32,
    pub(super) max_log_line: u32,
    pub(super) reads: u32,
    pub(super) log_lines: u32,
}

thread_local! {
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
    /// No run has begun, and a template evaluates the module for all of them.
    static AHEAD: Cell<bool> = const { Cell::new(false) };
    /// Promises that were rejected and that nobody handles so far.
    static REJECTED: RefCell<Vec<(v8::Global<v8::Promise>, v8::Global<v8::Value>)>> = const { RefCell::new(Vec::new()) };
}

/// Makes this thread's places ready, so that no run has to.
pub(super) fn rehearse() {
    RUNNING.with_borrow(|_| {});
    REJECTED.with_borrow(|_| {});
}

/// Unhandled rejections remembered; one is enough to end the run.
const MAX_REJECTED: usize = 4_096;

pub(super) fn begin(running: Running) {
    RUNNING.set(Some(running));
}

/// Runs `use_it` on the run. There is none while the zygote evaluates the SDK, nor while a template evaluates a module;
/// a template that needs one ends.
fn with<T>(use_it: impl FnOnce(&mut Running) -> T) -> Option<T> {
    RUNNING.with_borrow_mut(|running| match running {
        Some(running) => Some(use_it(running)),
        None => {
            end_if_ahead();
            None
        }
    })
}

/// Runs `evaluate` in a template: whatever in it belongs to one run ends the process.
pub(super) fn ahead<T>(evaluate: impl FnOnce() -> T) -> T {
    AHEAD.set(true);
    let result = evaluate();
    AHEAD.set(false);
    result
}

fn end_if_ahead() {
    if AHEAD.get() {
        // SAFETY: ends the process at once, so that nothing of the module runs after it. Its host makes a template that
        // leaves evaluating to the runs.
        unsafe { libc::_exit(103) }
    }
}

/// Whether a promise was rejected that nobody handles so far.
pub(super) fn has_rejected() -> bool {
    REJECTED.with_borrow(|rejected| !rejected.is_empty())
}

/// Ends the run with `outcome`.
pub(super) fn end(outcome: Outcome) {
    with(|running| running.port.end(outcome));
}

pub(super) fn end_threw(message: String, place: Option<(u32, u32)>) {
    if let Some(outcome) = with(|running| threw(&running.source, message, place)) {
        end(outcome);
    }
}

/// An exception that was made at `place` of what `source` compiles to.
pub(super) fn threw(source: &str, message: String, place: Option<(u32, u32)>) -> Outcome {
    let line = place.and_then(|(line, column)| compile::original_line(source, line, column));
    Outcome::Threw { message: cut(message, 2_000), line }
}

/// The next answer of a read, in the order of the requests; nothing when none is due.
pub(super) fn next_answer() -> Option<super::Answer> {
    with(|running| running.port.next_answer()).flatten()
}

fn cut(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

fn reply(answer: Result<String, String>) -> String {
    match answer {
        Ok(text) => format!("={text}"),
        Err(text) => format!("!{text}"),
    }
}

#[op2]
#[string]
fn op_parse_abi(#[string] signatures: String) -> String {
    reply(abi::parse(&signatures))
}

#[op2]
#[string]
fn op_parse_parameters(#[string] lists: String) -> String {
    reply(abi::parse_parameters(&lists))
}

#[op2]
#[string]
fn op_encode_function(#[string] item: String, #[string] args: String) -> String {
    reply(abi::encode_function(&item, &args))
}

#[op2]
#[string]
fn op_encode_params(#[string] parameters: String, #[string] args: String) -> String {
    reply(abi::encode_params(&parameters, &args))
}

#[op2]
#[string]
fn op_decode_params(#[string] parameters: String, #[string] data: String) -> String {
    reply(abi::decode_params(&parameters, &data))
}

#[op2]
#[string]
fn op_encode_packed(#[string] types: String, #[string] args: String) -> String {
    reply(abi::encode_packed(&types, &args))
}

#[op2]
#[string]
fn op_hash_typed_data(#[string] data: String) -> String {
    reply(abi::hash_typed_data(&data))
}

#[op2]
#[string]
fn op_hash_text(#[string] text: String) -> String {
    reply(abi::hash_text(&text))
}

#[op2]
#[string]
fn op_keccak256(#[string] data: String) -> String {
    reply(abi::keccak(&data))
}

#[op2]
#[string]
fn op_checksum(#[string] address: String, #[string] chain: String) -> String {
    reply(abi::checksum(&address, &chain))
}

#[op2]
#[string]
fn op_create_address(#[string] from: String, #[string] nonce: String) -> String {
    reply(abi::create_address(&from, &nonce))
}

#[op2]
#[string]
fn op_create2_address(#[string] from: String, #[string] salt: String, #[string] code_hash: String) -> String {
    reply(abi::create2_address(&from, &salt, &code_hash))
}

#[op2]
#[string]
fn op_utf8_to_hex(#[string] text: String) -> String {
    reply(abi::utf8_to_hex(&text))
}

#[op2]
#[string]
fn op_hex_to_utf8(#[string] data: String) -> String {
    reply(abi::hex_to_utf8(&data))
}

#[op2(fast)]
fn op_log(#[string] line: String) {
    with(|running| {
        if running.log_lines < running.max_log_lines {
            running.log_lines += 1;
            // The dots may exceed the limit that the host enforces, so they are counted in.
            let line = cut(line, (running.max_log_line as usize).saturating_sub(3));
            running.port.log(&line);
        }
    });
}

/// Asks for a read; returns its number.
#[op2(fast)]
fn op_chain_read(#[string] chain: String, #[string] method: String, #[string] params: String) -> u32 {
    let Ok(chain_id) = chain.parse::<u64>() else {
        end(Outcome::BadOutput { message: format!("chain {chain} is not a chain id") });
        return 0;
    };
    with(|running| {
        if running.reads >= running.max_reads {
            running.port.end(Outcome::TooManyReads);
        }
        running.reads += 1;
        running.port.read(chain_id, &method, &params);
        running.reads - 1
    })
    .unwrap_or(0)
}

/// What is called here and now gives another result in another run.
#[op2(fast)]
fn op_of_the_run() {
    end_if_ahead();
}

#[op2(fast)]
fn op_output_limit() -> u32 {
    with(|running| running.max_output).unwrap_or(0)
}

/// The run is over and did not throw.
#[op2(fast)]
fn op_end(scope: &mut v8::PinScope<'_, '_>, #[string] kind: String, #[string] detail: String) {
    end_if_rejected(scope);
    end(match kind.as_str() {
        "nothing" => Outcome::NothingToDo,
        "too_large" => Outcome::OutputTooLarge,
        "unsupported_chain" => match detail.parse() {
            Ok(id) => Outcome::UnsupportedChain { id },
            Err(_) => Outcome::BadOutput { message: format!("{detail} is not a chain id") },
        },
        "calls" => calls(&detail).unwrap_or_else(|message| Outcome::BadOutput { message }),
        _ => Outcome::BadOutput { message: cut(detail, 2_000) },
    });
}

#[op2(fast)]
fn op_threw(scope: &mut v8::PinScope<'_, '_>, error: v8::Local<'_, v8::Value>, #[string] message: String) {
    let place = lines::place_of(scope, error);
    end_threw(message, place);
}

fn calls(detail: &str) -> Result<Outcome, String> {
    let unreadable = || "the calls cannot be read".to_string();
    let list: Vec<(String, String, String)> = serde_json::from_str(detail).map_err(|_| unreadable())?;
    let limit = with(|running| running.max_output).unwrap_or(0) as usize;
    if list.iter().map(|(_, _, data)| 52 + data.len() / 2).sum::<usize>() > limit {
        return Ok(Outcome::OutputTooLarge);
    }
    if list.is_empty() {
        // Something that said it has elements and then had none.
        return Ok(Outcome::NothingToDo);
    }
    let mut calls = Vec::with_capacity(list.len());
    for (to, value, data) in list {
        calls.push(Call {
            to: to.parse::<alloy::primitives::Address>().map_err(|_| unreadable())?.into_array(),
            value: alloy::primitives::U256::from_str_radix(&value, 16).map_err(|_| unreadable())?.to_be_bytes(),
            data: hex::decode(data.trim_start_matches("0x")).map_err(|_| unreadable())?,
        });
    }
    Ok(Outcome::Calls(calls))
}

/// The engine tells about every rejection without a handler, and about every handler that came late.
pub(super) extern "C" fn note_rejection(message: v8::PromiseRejectMessage) {
    v8::callback_scope!(unsafe scope, &message);
    let promise = message.get_promise();
    match message.get_event() {
        v8::PromiseRejectEvent::PromiseRejectWithNoHandler => {
            let value = message.get_value().unwrap_or_else(|| v8::undefined(scope).into());
            let entry = (v8::Global::new(scope, promise), v8::Global::new(scope, value));
            REJECTED.with_borrow_mut(|rejected| {
                if rejected.len() < MAX_REJECTED {
                    rejected.push(entry);
                }
            });
        }
        v8::PromiseRejectEvent::PromiseHandlerAddedAfterReject => {
            REJECTED.with_borrow_mut(|rejected| {
                rejected.retain(|(known, _)| v8::Local::new(scope, known) != promise);
            });
        }
        _ => {}
    }
}

/// A rejection nobody handled is an error, even when `run` itself returned.
pub(super) fn end_if_rejected(scope: &mut v8::PinScope<'_, '_>) {
    let Some((_, value)) = REJECTED.with_borrow(|rejected| rejected.first().cloned()) else { return };
    let value = v8::Local::new(scope, value);
    let mut text = None;
    let mut place = None;
    if value.is_native_error()
        && let Ok(error) = v8::Local::<v8::Object>::try_from(value)
    {
        let property = |scope: &mut v8::PinScope<'_, '_>, name: &str| -> Option<String> {
            let name = v8::String::new(scope, name)?;
            let value = error.get(scope, name.into())?;
            value.is_string().then(|| value.to_rust_string_lossy(scope))
        };
        let _ = property(scope, "stack");
        text = property(scope, "message");
        place = lines::place_of(scope, value);
    } else if value.is_string() {
        text = Some(value.to_rust_string_lossy(scope));
    }
    let what = text.unwrap_or_else(|| "a value that is not an Error".to_string());
    end_threw(format!("a promise was rejected and nobody handled it: {what}"), place);
}

deno_core::extension!(
    ditto_ops,
    ops = [
        op_parse_abi,
        op_parse_parameters,
        op_encode_function,
        op_encode_params,
        op_decode_params,
        op_encode_packed,
        op_hash_typed_data,
        op_hash_text,
        op_keccak256,
        op_checksum,
        op_create_address,
        op_create2_address,
        op_utf8_to_hex,
        op_hex_to_utf8,
        op_log,
        op_chain_read,
        op_of_the_run,
        op_output_limit,
        op_end,
        op_threw,
    ],
);

pub(super) fn extension() -> deno_core::Extension {
    ditto_ops::init()
}
