//! What is asked of a chain, and why there is no answer.
//!
//! Whether an error is *data* decides whether operators agree: what follows from chain and block alone is
//! [`RpcError::Reverted`], and everybody gets it; everything else is trouble of one's own. So the list of what counts as
//! data is closed, and a client that words it otherwise makes its operator abstain, never disagree.

use alloy::eips::BlockNumHash;
use alloy::primitives::{Address, B256, Bytes};
use alloy::rpc::json_rpc::ErrorPayload;
use serde_json::Value;

/// Longest error text that is kept of a node's, in characters.
const TEXT: usize = 200;
/// JSON-RPC code of a revert that carries data, since geth 1.9.15.
const REVERTED: i64 = 3;
/// Nethermind's and OpenEthereum's code of any failed execution.
const VM_ERROR: i64 = -32_015;
/// How geth and those who follow it word an exceptional halt other than for lack of gas.
const HALTS: [&str; 6] = [
    "invalid opcode",
    "invalid jump destination",
    "stack underflow",
    "stack limit reached",
    "write protection",
    "return data out of bounds",
];

/// Which block an answer belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// Whatever the endpoint holds; its errors are final.
    #[default]
    None,
    /// The request itself names this block by hash. An endpoint that answers with an error may lack the block, so the next
    /// one is asked.
    Hash(B256),
    /// The request names blocks by number. The endpoint must have this block, before and after it answers; one that has
    /// another, or none, is not believed.
    Chain(BlockNumHash),
}

impl Anchor {
    /// The block's hash.
    #[must_use]
    pub fn hash(&self) -> Option<B256> {
        match self {
            Self::None => None,
            Self::Hash(hash) => Some(*hash),
            Self::Chain(block) => Some(block.hash),
        }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The method, such as `eth_call`.
    pub method: &'static str,
    /// The parameters: a JSON array.
    pub params: String,
    /// Which block the answer belongs to.
    pub anchor: Anchor,
}

impl Request {
    /// A request with these parameters, of no particular block.
    #[must_use]
    pub fn new(method: &'static str, params: &Value) -> Self {
        Self { method, params: params.to_string(), anchor: Anchor::None }
    }

    /// An `eth_call` by block hash.
    #[must_use]
    pub fn call(to: Address, data: &[u8], block: B256) -> Self {
        let data = alloy::hex::encode_prefixed(data);
        Self::new("eth_call", &serde_json::json!([{ "to": to, "data": data }, at(block)])).anchored(Anchor::Hash(block))
    }

    /// The block of this number, without its transactions.
    #[must_use]
    pub fn block(number: u64) -> Self {
        Self::new("eth_getBlockByNumber", &serde_json::json!([format!("0x{number:x}"), false]))
    }

    /// The same, of this block.
    #[must_use]
    pub fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }
}

/// A block by its hash, as `eth_call` and its like take it; a hash that is no longer canonical is an error (EIP-1898).
#[must_use]
pub fn at(block: B256) -> Value {
    serde_json::json!({ "blockHash": block, "requireCanonical": true })
}

/// Why a request has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The call reverted, with this data; with none when it came to an exceptional halt.
    #[error("the call reverted with {0}")]
    Reverted(Bytes),
    /// The node answered with an error.
    #[error("the node of chain {chain} answered {code}: {message}")]
    Node {
        /// The chain.
        chain: u64,
        /// JSON-RPC error code.
        code: i64,
        /// What the node said.
        message: String,
    },
    /// No node answered.
    #[error("no node of chain {chain} answered (tried {urls}): {cause}")]
    Transport {
        /// The chain.
        chain: u64,
        /// The hosts tried, without credentials.
        urls: String,
        /// What went wrong last.
        cause: String,
    },
    /// The answer is longer than the configuration allows.
    #[error("an answer of chain {chain} is longer than `chains.{chain}.limits.response_bytes` ({limit})")]
    TooLarge {
        /// The chain.
        chain: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// No endpoint has the block that the request is about.
    #[error("no node of chain {chain} has block {block} on its chain")]
    NoBlock {
        /// The chain.
        chain: u64,
        /// The block.
        block: B256,
    },
    /// It waited too long for its batch.
    #[error("a request to chain {chain} waited longer than `chains.{chain}.limits.patience_ms`")]
    Late {
        /// The chain.
        chain: u64,
    },
    /// The node answered something that is not of the right shape.
    #[error("the node of chain {chain} gave an answer of the wrong shape: {cause}")]
    Shape {
        /// The chain.
        chain: u64,
        /// What was wrong.
        cause: String,
    },
}

impl RpcError {
    /// An answer that is not what was asked for.
    #[must_use]
    pub fn shape(chain: u64, cause: impl AsRef<str>) -> Self {
        Self::Shape { chain, cause: cut(cause.as_ref()) }
    }

    /// What a node's error means.
    pub(super) fn of(chain: u64, error: &ErrorPayload) -> Self {
        match reverted(error) {
            Some(data) => Self::Reverted(data),
            None => Self::Node { chain, code: error.code, message: cut(&error.message) },
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT).collect()
}

/// The revert data, if the error says that the execution failed by what is on the chain. Lack of gas is not that: clients
/// cap the gas of a call below what was asked for.
fn reverted(error: &ErrorPayload) -> Option<Bytes> {
    let data = || -> Option<Bytes> {
        let text: String = serde_json::from_str(error.data.as_ref()?.get()).ok()?;
        text.trim_start_matches("Reverted ").parse().ok()
    };
    if let Some(data) = error.as_revert_data() {
        return Some(data);
    }
    let message = error.message.to_lowercase();
    if error.code == REVERTED || message.starts_with("execution reverted") {
        return Some(data().unwrap_or_default());
    }
    if message.contains("gas") || message.contains("oog") {
        return None;
    }
    if error.code == VM_ERROR {
        return Some(data().unwrap_or_default());
    }
    let halted = message.starts_with("evm error") || HALTS.iter().any(|halt| message.starts_with(halt));
    halted.then(Bytes::new)
}

/// Whether the error says that the endpoint wants to be asked less.
pub(super) fn is_rate_limit(error: &ErrorPayload) -> bool {
    // Infura also answers -32005 when a range of logs has too many of them, and words a missing block as a limit.
    let other = ["results", "range", "header not found"];
    error.is_retry_err() && !other.iter().any(|word| error.message.contains(word))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(json: Value) -> RpcError {
        RpcError::of(1, &serde_json::from_value(json).unwrap())
    }

    #[test]
    fn what_follows_from_the_chain_is_data() {
        let data = Bytes::from(vec![0xab, 0xcd]);
        for (json, expected) in [
            (json!({ "code": 3, "message": "execution reverted: no", "data": "0xabcd" }), &data),
            (json!({ "code": -32000, "message": "Execution reverted", "data": "0xabcd" }), &data),
            (json!({ "code": -32603, "message": "VM Exception: revert", "data": { "data": "0xabcd" } }), &data),
            (json!({ "code": -32015, "message": "VM execution error.", "data": "Reverted 0xabcd" }), &data),
            (json!({ "code": -32000, "message": "execution reverted" }), &Bytes::new()),
            (json!({ "code": 3, "message": "execution reverted", "data": "0x" }), &Bytes::new()),
            (json!({ "code": -32000, "message": "invalid opcode: INVALID" }), &Bytes::new()),
            (json!({ "code": -32000, "message": "stack underflow (0 <=> 1)" }), &Bytes::new()),
            (json!({ "code": -32003, "message": "EVM error: InvalidFEOpcode" }), &Bytes::new()),
            (json!({ "code": -32015, "message": "VM execution error: BadInstruction" }), &Bytes::new()),
        ] {
            assert_eq!(error(json.clone()), RpcError::Reverted(expected.clone()), "{json}");
        }
    }

    #[test]
    fn what_a_node_lacks_is_not() {
        for (code, message) in [
            (-32000, "out of gas"),
            (-32003, "EVM error: OutOfGas(Basic)"),
            (-32015, "VM execution error: OutOfGas"),
            (-32000, "header not found"),
            (-32001, "resource not found"),
            (-32000, "missing trie node"),
            (-32000, "execution aborted (timeout = 5s)"),
            (-32603, "internal error"),
            (-32601, "method not found"),
        ] {
            let said = error(json!({ "code": code, "message": message }));
            assert!(matches!(said, RpcError::Node { .. }), "{message}: {said:?}");
        }
    }

    #[test]
    fn a_rate_limit_is_told_from_what_is_worded_like_one() {
        let limit = |code: i64, message: &str| {
            is_rate_limit(&serde_json::from_value(json!({ "code": code, "message": message })).unwrap())
        };
        assert!(limit(-32005, "daily request count exceeded, request rate limited") && limit(429, "slow down"));
        assert!(!limit(-32005, "query returned more than 10000 results") && !limit(-32000, "header not found"));
        assert!(!limit(-32000, "out of gas"));
    }

    #[test]
    fn a_nodes_text_is_cut() {
        let said = error(json!({ "code": 1, "message": "é".repeat(5_000) }));
        assert!(said.to_string().chars().count() < 300);
    }
}
