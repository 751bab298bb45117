//! Handing a transaction to a node, and reading what the node says to it.

use alloy::primitives::B256;
use ditto_core::chain::{Request, Rpc, RpcError};
use serde_json::json;

use super::transaction::Signed;

/// Whether a node took a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// It did, or had it.
    Yes,
    /// Not now; it is sent again.
    No,
    /// The nonce is used up.
    NonceTaken,
    /// The node has another transaction with this nonce, and wants more for this one.
    Underpriced,
    /// The account cannot pay for it.
    NoFunds,
}

/// Hands a signed transaction to a node.
pub async fn send(rpc: &Rpc, signed: &Signed) -> Handed {
    match rpc.ask_for::<B256>(Request::new("eth_sendRawTransaction", &json!([signed.raw]))).await {
        Ok(_) => Handed::Yes,
        Err(RpcError::Node { message, .. }) => {
            let handed = handed(&message);
            match handed {
                Handed::Yes => {}
                Handed::NoFunds => {
                    tracing::error!(tx = %signed.hash, message, "the submitter cannot pay; send it funds")
                }
                _ => tracing::warn!(tx = %signed.hash, message, "a node does not take a transaction"),
            }
            handed
        }
        Err(error) => {
            tracing::warn!(tx = %signed.hash, %error, "a transaction is not sent yet");
            Handed::No
        }
    }
}

/// Nodes tell these apart in words only; the words are geth's, and the others' (anvil, reth, nethermind, erigon) follow them.
fn handed(message: &str) -> Handed {
    let message = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["already known", "already imported", "known transaction"]) {
        Handed::Yes
    } else if says(&["nonce too low", "nonce is too low", "oldnonce"]) {
        Handed::NonceTaken
    } else if says(&["underpriced", "replacement fee too low"]) {
        Handed::Underpriced
    } else if says(&["insufficient funds", "insufficientfunds"]) {
        Handed::NoFunds
    } else {
        Handed::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_say_is_understood() {
        let said = [
            ("already known", Handed::Yes),
            ("transaction already imported", Handed::Yes),
            ("nonce too low: next nonce 7, tx nonce 5", Handed::NonceTaken),
            ("replacement transaction underpriced", Handed::Underpriced),
            ("Insufficient funds for gas * price + value", Handed::NoFunds),
            ("the pool is full", Handed::No),
            ("", Handed::No),
        ];
        for (message, expected) in said {
            assert_eq!(handed(message), expected, "{message}");
        }
    }
}
