//! One read of one block, asked of a node and brought into the one form that the answers of all clients come down to: it is
//! hashed into the proof of task.
//!
//! | The node says | A run gets |
//! |---|---|
//! | a result of the right shape | the result, canonical |
//! | of `eth_call`: a revert, or an exceptional halt other than for lack of gas ([`RpcError::Reverted`]) | the revert data |
//! | anything else: another error, nothing, another shape, too much, too late | a failed read: trouble of this operator's |
//!
//! Blocks after the pin, and ranges of logs that are too long, are answered `null` without a node: everybody does.

use alloy::eips::BlockNumHash;
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::serde::quantity;
use ditto_core::chain::{Anchor, Batcher, CALL_GAS, LogFilter, Request, RpcError, at};
use ditto_core::proposal::Pin;
use ditto_sandbox::{Read, ReadAnswer};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The sender of every call: nobody.
const FROM: Address = Address::ZERO;
/// The answer to what has none at this pin.
const NOTHING: &str = "null";

/// The answer that needs no node.
pub(super) fn known(read: &Read, pin: &Pin) -> Option<ReadAnswer> {
    let answer = match read {
        Read::BlockNumber => format!("\"{:#x}\"", pin.number),
        Read::Block { number: Some(number) } if *number > pin.number => NOTHING.into(),
        Read::Logs { .. } if read.log_range(pin.number).is_none() => NOTHING.into(),
        _ => return None,
    };
    Some(ReadAnswer::Ok(answer))
}

/// Asks a node.
///
/// # Errors
/// Whatever is trouble of this operator's.
pub(super) async fn ask(node: &Batcher, read: &Read, pin: &Pin) -> Result<ReadAnswer, RpcError> {
    if let Some(answer) = known(read, pin) {
        return Ok(answer);
    }
    let anchor = BlockNumHash { number: pin.number, hash: pin.hash };
    let shape = |cause: &str| RpcError::shape(node.rpc().chain(), format!("{}: {cause}", read.method()));
    if let Read::Logs { address, topics, .. } = read {
        let Some(range) = read.log_range(pin.number) else { return Err(shape("no range")) };
        let (from, to) = range.into_inner();
        let filter = LogFilter { address: address.clone(), topics: topics.clone(), from, to };
        let logs = node.logs(anchor, &filter).await?;
        return serde_json::to_string(&logs).map(ReadAnswer::Ok).map_err(|error| shape(&error.to_string()));
    }
    match node.ask(request(read, anchor)).await {
        Ok(result) => {
            canonical(read, pin, result.get()).map(ReadAnswer::Ok).ok_or_else(|| shape("not what it should be"))
        }
        Err(RpcError::Reverted(data)) if matches!(read, Read::Call { .. }) => Ok(ReadAnswer::Reverted(data.to_vec())),
        Err(error) => Err(error),
    }
}

fn request(read: &Read, pin: BlockNumHash) -> Request {
    let by_hash = Anchor::Hash(pin.hash);
    let (method, params, anchor) = match read {
        Read::Call { to, data } => {
            let call = json!({ "from": FROM, "to": to, "data": data, "gas": CALL_GAS });
            (read.method(), json!([call, at(pin.hash)]), by_hash)
        }
        Read::Balance { address } | Read::Code { address } => (read.method(), json!([address, at(pin.hash)]), by_hash),
        Read::StorageAt { address, slot } => (read.method(), json!([address, slot, at(pin.hash)]), by_hash),
        Read::Block { number: Some(number) } if *number != pin.number => {
            return Request::block(*number).anchored(Anchor::Chain(pin));
        }
        // The rest is the pinned block itself: its number is known, its logs are asked for elsewhere.
        Read::Block { .. } | Read::BlockNumber | Read::Logs { .. } => {
            ("eth_getBlockByHash", json!([pin.hash, false]), by_hash)
        }
    };
    Request::new(method, &params).anchored(anchor)
}

/// A block as workflows see it: [`ditto_sandbox::BLOCK_FIELDS`], in their order.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    #[serde(with = "quantity")]
    number: u64,
    hash: B256,
    parent_hash: B256,
    #[serde(with = "quantity")]
    timestamp: u64,
    #[serde(with = "quantity")]
    gas_limit: u64,
    #[serde(with = "quantity")]
    gas_used: u64,
    /// Absent, or null, before London.
    #[serde(default, with = "quantity::opt")]
    base_fee_per_gas: Option<u128>,
    miner: Address,
    mix_hash: B256,
}

/// The result's canonical JSON; nothing when it is not of the shape that the read has.
fn canonical(read: &Read, pin: &Pin, result: &str) -> Option<String> {
    match read {
        Read::Call { .. } | Read::Code { .. } => {
            // As text: a list of numbers would do for bytes as well.
            let text: String = serde_json::from_str(result).ok()?;
            let bytes: Bytes = text.strip_prefix("0x")?.parse().ok()?;
            Some(format!("\"{bytes}\""))
        }
        Read::Balance { .. } => {
            let balance: U256 = serde_json::from_str(&hexadecimal(result)?).ok()?;
            Some(format!("\"{balance:#x}\""))
        }
        Read::StorageAt { .. } => {
            let word: U256 = serde_json::from_str(&hexadecimal(result)?).ok()?;
            Some(format!("\"{}\"", B256::from(word)))
        }
        Read::Block { number } => {
            let block: Block = serde_json::from_str(result).ok()?;
            let wanted = number.unwrap_or(pin.number);
            let right = block.number == wanted && (wanted != pin.number || block.hash == pin.hash);
            right.then(|| serde_json::to_string(&block).ok()).flatten()
        }
        Read::BlockNumber | Read::Logs { .. } => None,
    }
}

/// The same JSON string, if it is hexadecimal: a number's parser would take decimal and octal as well.
fn hexadecimal(json: &str) -> Option<String> {
    let text: String = serde_json::from_str(json).ok()?;
    let digits = text.strip_prefix("0x")?;
    (!digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then(|| format!("\"{text}\""))
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
