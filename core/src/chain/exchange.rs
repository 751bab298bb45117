//! JSON-RPC on paper: what a batch of requests looks like, and which answer belongs to which of them.
//!
//! Answers are matched by id alone. An endpoint may send them in any order, leave some out, repeat some or make some up: a
//! request whose answer is missing, or has two different ones, has none.

use std::collections::HashMap;

use alloy::rpc::json_rpc::{ErrorPayload, Id, ResponsePacket, ResponsePayload};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Request;

/// What an endpoint says to one request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// A result.
    Result(Box<RawValue>),
    /// An error.
    Error(ErrorPayload),
    /// Nothing, or several things.
    None,
}

impl Reply {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Result(one), Self::Result(two)) => one.get() == two.get(),
            (Self::Error(one), Self::Error(two)) => one.code == two.code && one.message == two.message,
            _ => false,
        }
    }
}

#[derive(Serialize)]
struct Asked<'a> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: &'a RawValue,
}

/// The body that asks these things, with ids from `first` on: always an array, of one also.
pub(super) fn body(requests: &[&Request], first: u64) -> Result<String, serde_json::Error> {
    let asked = (first..).zip(requests).map(|(id, request)| {
        Ok(Asked { jsonrpc: "2.0", id, method: request.method, params: serde_json::from_str(&request.params)? })
    });
    serde_json::to_string(&asked.collect::<Result<Vec<_>, serde_json::Error>>()?)
}

/// What the body of an answer says to `count` requests with ids from `first` on. An error that answers none of them in
/// particular, as for a batch that is refused as a whole, is `Err`.
pub(super) fn replies(body: &[u8], first: u64, count: usize) -> Result<Vec<Reply>, Refusal> {
    let packet: ResponsePacket = serde_json::from_slice(body).map_err(|error| Refusal::Garbled(error.to_string()))?;
    let mut said: HashMap<u64, Reply> = HashMap::with_capacity(count);
    let responses = match packet {
        ResponsePacket::Single(response) => vec![response],
        ResponsePacket::Batch(responses) => responses,
    };
    for response in responses {
        let id = match response.id {
            Id::Number(id) => id,
            other => match response.payload {
                ResponsePayload::Failure(error) => return Err(Refusal::Error(error)),
                ResponsePayload::Success(_) => return Err(Refusal::Garbled(format!("a result with id {other}"))),
            },
        };
        let reply = match response.payload {
            ResponsePayload::Success(result) => Reply::Result(result),
            ResponsePayload::Failure(error) => Reply::Error(error),
        };
        said.entry(id)
            .and_modify(|known| {
                if !known.same(&reply) {
                    *known = Reply::None
                }
            })
            .or_insert(reply);
    }
    Ok((first..).take(count).map(|id| said.remove(&id).unwrap_or(Reply::None)).collect())
}

/// Why a body answers nothing.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is no JSON-RPC.
    Garbled(String),
    /// It is an error that concerns the batch.
    Error(ErrorPayload),
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn result(id: u64, value: &Value) -> Value {
        json!({ "jsonrpc": "2.0", "id": id, "result": value })
    }

    fn read(body: &Value, count: usize) -> Vec<Option<String>> {
        let replies = replies(body.to_string().as_bytes(), 10, count).unwrap();
        let text = |reply| if let Reply::Result(result) = reply { Some(result.get().to_owned()) } else { None };
        replies.into_iter().map(text).collect()
    }

    proptest! {
        #[test]
        fn answers_find_their_requests_in_any_order(
            (answers, order) in (1usize..40).prop_flat_map(|count| {
                let order = Just((0..count).collect::<Vec<_>>()).prop_shuffle();
                (prop::collection::vec(prop::option::of(any::<u32>()), count), order)
            })
        ) {
            // What is None is left out; strangers' ids are in between.
            let mut packet: Vec<Value> = vec![result(9, &json!(1)), result(1_000, &json!(1))];
            let given = order.iter().filter_map(|index| Some((*index, answers.get(*index).copied()??)));
            packet.extend(given.map(|(index, answer)| result(10 + index as u64, &json!(answer))));
            let expected: Vec<_> = answers.iter().map(|answer| answer.map(|answer| answer.to_string())).collect();
            prop_assert_eq!(read(&Value::Array(packet), answers.len()), expected);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(replies(&bytes, 0, 3));
        }

        #[test]
        fn any_json_is_read_or_refused(text in "[\\[{\"idresultero:0-9,}\\]]{0,80}") {
            drop(replies(text.as_bytes(), 0, 3));
        }
    }

    #[test]
    fn two_answers_to_one_request_are_none_unless_equal() {
        let twice = |one: Value, two: Value| read(&json!([result(10, &one), result(10, &two), result(11, &one)]), 2);
        assert_eq!(twice(json!(1), json!(2)), [None, Some("1".into())]);
        assert_eq!(twice(json!(1), json!(1)), [Some("1".into()), Some("1".into())]);
    }

    #[test]
    fn null_is_a_result_and_an_error_for_the_batch_is_one_for_all() {
        assert_eq!(read(&json!([result(10, &Value::Null)]), 1), [Some("null".into())]);
        assert_eq!(read(&result(10, &json!(5)), 1), [Some("5".into())], "some answer a batch of one with one");
        let whole = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32005, "message": "slow down" } });
        let refused = replies(whole.to_string().as_bytes(), 10, 2);
        assert!(matches!(refused, Err(Refusal::Error(error)) if error.code == -32005));
    }

    #[test]
    fn a_body_has_ids_in_order() {
        let request = Request::new("eth_chainId", &json!([]));
        let body: Value = serde_json::from_str(&body(&[&request, &request], 7).unwrap()).unwrap();
        assert_eq!(body[1], json!({ "jsonrpc": "2.0", "id": 8, "method": "eth_chainId", "params": [] }));
    }
}
