//! The reads a run can ask for: what [`ReadRequest`]'s two strings mean, and the one way to write each.
//!
//! | Read | method | params | result |
//! |---|---|---|---|
//! | `Call` | `eth_call` | `[{"to","data"}]` | hex |
//! | `Balance` | `eth_getBalance` | `[address]` | quantity |
//! | `Code` | `eth_getCode` | `[address]` | hex |
//! | `StorageAt` | `eth_getStorageAt` | `[address,slot]` | 32 bytes of hex |
//! | `BlockNumber` | `eth_blockNumber` | `[]` | quantity, the pin's |
//! | `Block` | `eth_getBlockByNumber` | `[]` for the pin's, `[number]` for an older one | [`BLOCK_FIELDS`], or `null`: beyond the pin |
//! | `Logs` | `eth_getLogs` | `[{"address","topics","fromBlock"?,"toBlock"?}]` | array of [`LOG_FIELDS`] by block and index, or `null`: see [`Read::log_range`] |
//!
//! `null` is an answer, not a failure: it follows from request and pin alone, so every operator gives it, and the workflow
//! sees an exception that it may catch.

use std::ops::RangeInclusive;

use alloy::primitives::{Address, B256, Bytes, U256};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::job::ReadRequest;

/// Most blocks that one `Logs` may span, both ends included. A rule of the protocol, not of an operator's taste: what one
/// answers, all answer. Public nodes refuse much longer ranges.
pub const LOG_RANGE_BLOCKS: u64 = 2_000;
/// Most addresses in one `Logs`, and most alternatives in one topic position.
pub const LOG_ALTERNATIVES: usize = 16;

/// What a `Block`'s result has, in this order; quantities without leading zeros, the rest lower-case hex,
/// `baseFeePerGas` null before London.
pub const BLOCK_FIELDS: [&str; 9] =
    ["number", "hash", "parentHash", "timestamp", "gasLimit", "gasUsed", "baseFeePerGas", "miner", "mixHash"];
/// What each of a `Logs`' results has, in this order.
pub const LOG_FIELDS: [&str; 7] =
    ["address", "topics", "data", "blockNumber", "blockHash", "transactionHash", "logIndex"];

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    #[error("the method is not one that workflows may read with")]
    Method,
    #[error("{0}: the parameters are not what it takes, or not written canonically")]
    Params(&'static str),
}

/// One read, understood.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Read {
    Call {
        to: Address,
        data: Bytes,
    },
    Balance {
        address: Address,
    },
    Code {
        address: Address,
    },
    StorageAt {
        address: Address,
        slot: U256,
    },
    /// The pinned block's number.
    BlockNumber,
    /// A block at or before the pinned one; nothing means the pinned one.
    Block {
        number: Option<u64>,
    },
    /// Logs of blocks at or before the pinned one.
    Logs {
        /// At least one: a filter without an address reads the whole chain.
        address: Vec<Address>,
        /// One entry per topic position, each a list of alternatives; an empty list lets everything through.
        topics: Vec<Vec<B256>>,
        /// First and last block; nothing means the pinned one.
        from_block: Option<u64>,
        to_block: Option<u64>,
    },
}

impl Read {
    pub fn method(&self) -> &'static str {
        match self {
            Read::Call { .. } => "eth_call",
            Read::Balance { .. } => "eth_getBalance",
            Read::Code { .. } => "eth_getCode",
            Read::StorageAt { .. } => "eth_getStorageAt",
            Read::BlockNumber => "eth_blockNumber",
            Read::Block { .. } => "eth_getBlockByNumber",
            Read::Logs { .. } => "eth_getLogs",
        }
    }

    /// The canonical parameters, as [`ReadRequest::params`] has them.
    pub fn params(&self) -> String {
        match self {
            Read::Call { to, data } => format!(r#"[{{"to":"{to:#x}","data":"{data}"}}]"#),
            Read::Balance { address } | Read::Code { address } => format!(r#"["{address:#x}"]"#),
            Read::StorageAt { address, slot } => format!(r#"["{address:#x}","{slot:#x}"]"#),
            Read::BlockNumber | Read::Block { number: None } => "[]".into(),
            Read::Block { number: Some(number) } => format!(r#"["{number:#x}"]"#),
            Read::Logs { address, topics, from_block, to_block } => {
                let list = |items: Vec<String>| format!("[{}]", items.join(","));
                let address = list(address.iter().map(|address| format!("\"{address:#x}\"")).collect());
                let alternatives =
                    |topic: &Vec<B256>| list(topic.iter().map(|word| format!("\"{word:#x}\"")).collect());
                let topics = list(topics.iter().map(alternatives).collect());
                let block = |name, number: &Option<u64>| {
                    number.map_or(String::new(), |number| format!(r#","{name}":"{number:#x}""#))
                };
                let (from, to) = (block("fromBlock", from_block), block("toBlock", to_block));
                format!(r#"[{{"address":{address},"topics":{topics}{from}{to}}}]"#)
            }
        }
    }

    /// The blocks of a `Logs` at a pin; nothing when there is no right answer but `null`: they end beyond the pin, begin
    /// after their end, or are more than [`LOG_RANGE_BLOCKS`]. Nothing also for every other read.
    pub fn log_range(&self, pin: u64) -> Option<RangeInclusive<u64>> {
        let Read::Logs { from_block, to_block, .. } = self else { return None };
        let (from, to) = (from_block.unwrap_or(pin), to_block.unwrap_or(pin));
        (from <= to && to <= pin && to - from < LOG_RANGE_BLOCKS).then_some(from..=to)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallParams {
    to: Address,
    data: Bytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LogsParams {
    address: Vec<Address>,
    topics: Vec<Vec<B256>>,
    from_block: Option<String>,
    to_block: Option<String>,
}

impl ReadRequest {
    /// What the request means. Only what is written as [`Read::params`] writes it is understood, so equal reads are equal
    /// strings, whoever sent them.
    pub fn read(&self) -> Result<Read, ReadError> {
        let methods = [
            "eth_call",
            "eth_getBalance",
            "eth_getCode",
            "eth_getStorageAt",
            "eth_blockNumber",
            "eth_getBlockByNumber",
            "eth_getLogs",
        ];
        let method = methods.into_iter().find(|known| *known == self.method).ok_or(ReadError::Method)?;
        let wrong = ReadError::Params(method);
        let read = parse(method, &self.params).ok_or(wrong.clone())?;
        if read.params() == self.params { Ok(read) } else { Err(wrong) }
    }
}

fn parse(method: &str, params: &str) -> Option<Read> {
    let params: Vec<Value> = serde_json::from_str(params).ok()?;
    let address = |value: &Value| value.as_str()?.parse::<Address>().ok();
    Some(match (method, params.as_slice()) {
        ("eth_call", [call]) => {
            let CallParams { to, data } = CallParams::deserialize(call).ok()?;
            Read::Call { to, data }
        }
        ("eth_getBalance", [account]) => Read::Balance { address: address(account)? },
        ("eth_getCode", [account]) => Read::Code { address: address(account)? },
        ("eth_getStorageAt", [account, slot]) => {
            Read::StorageAt { address: address(account)?, slot: slot.as_str()?.parse().ok()? }
        }
        ("eth_blockNumber", []) => Read::BlockNumber,
        ("eth_getBlockByNumber", []) => Read::Block { number: None },
        ("eth_getBlockByNumber", [number]) => Read::Block { number: Some(quantity(number.as_str()?)?) },
        ("eth_getLogs", [filter]) => {
            let LogsParams { address, topics, from_block, to_block } = LogsParams::deserialize(filter).ok()?;
            let bounded = (1..=LOG_ALTERNATIVES).contains(&address.len())
                && topics.len() <= 4
                && topics.iter().all(|topic| topic.len() <= LOG_ALTERNATIVES)
                && topics.last().is_none_or(|last| !last.is_empty());
            let block = |text: Option<String>| text.map_or(Some(None), |text| quantity(&text).map(Some));
            let (from_block, to_block) = (block(from_block)?, block(to_block)?);
            return bounded.then_some(Read::Logs { address, topics, from_block, to_block });
        }
        _ => return None,
    })
}

fn quantity(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(method: &str, params: &str) -> ReadRequest {
        ReadRequest { chain_id: 1, method: method.into(), params: params.into() }
    }

    fn reads() -> impl Strategy<Value = Read> {
        let address = || any::<[u8; 20]>().prop_map(Address::from);
        let word = || any::<[u8; 32]>().prop_map(B256::from);
        let topics = prop::collection::vec(prop::collection::vec(word(), 0..3), 0..5).prop_map(|mut topics| {
            while topics.last().is_some_and(Vec::is_empty) {
                topics.pop();
            }
            topics
        });
        let block = || prop::option::of(any::<u64>());
        prop_oneof![
            (address(), prop::collection::vec(any::<u8>(), 0..80))
                .prop_map(|(to, data)| Read::Call { to, data: data.into() }),
            address().prop_map(|address| Read::Balance { address }),
            address().prop_map(|address| Read::Code { address }),
            (address(), word()).prop_map(|(address, slot)| Read::StorageAt { address, slot: slot.into() }),
            Just(Read::BlockNumber),
            block().prop_map(|number| Read::Block { number }),
            (prop::collection::vec(address(), 1..4), topics, block(), block()).prop_map(
                |(address, topics, from_block, to_block)| Read::Logs { address, topics, from_block, to_block }
            ),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_understood(read in reads()) {
            prop_assert_eq!(request(read.method(), &read.params()).read(), Ok(read));
        }

        #[test]
        fn any_text_is_understood_or_refused(params in "[\\[\\]{}\",:0-9a-fx tod]{0,60}") {
            for method in ["eth_call", "eth_getLogs", "eth_getBlockByNumber", "eth_getStorageAt"] {
                if let Ok(read) = request(method, &params).read() {
                    prop_assert_eq!(read.params(), params.clone());
                }
            }
        }
    }

    #[test]
    fn nothing_else_is_understood() {
        let zero = format!("{:#x}", Address::ZERO);
        for (method, params) in [
            ("eth_sendRawTransaction", "[]".to_string()),
            ("eth_accounts", "[]".into()),
            ("", "[]".into()),
            ("eth_call", "[]".into()),
            ("eth_call", format!(r#"[{{"to":"{zero}","data":"0x","gas":"0x1"}}]"#)),
            ("eth_call", format!(r#"[{{"data":"0x","to":"{zero}"}}]"#)),
            ("eth_call", format!(r#"[{{"to":"{zero}", "data":"0x"}}]"#)),
            ("eth_call", format!(r#"[{{"to":"{zero}","data":"0xAB"}}]"#)),
            ("eth_getBalance", format!(r#"["{zero}","latest"]"#)),
            ("eth_getStorageAt", format!(r#"["{zero}","0x01"]"#)),
            ("eth_getStorageAt", format!(r#"["{zero}","1"]"#)),
            ("eth_blockNumber", "[1]".into()),
            ("eth_getBlockByNumber", r#"["latest"]"#.into()),
            ("eth_getBlockByNumber", r#"["0x01"]"#.into()),
            ("eth_getBlockByNumber", r#"["0x10000000000000000"]"#.into()),
            ("eth_getLogs", r#"[{"address":[],"topics":[]}]"#.into()),
            ("eth_getLogs", format!(r#"[{{"address":"{zero}","topics":[]}}]"#)),
            ("eth_getLogs", format!(r#"[{{"address":["{zero}"],"topics":[[]]}}]"#)),
            ("eth_getLogs", format!(r#"[{{"address":["{zero}"],"topics":[],"blockHash":"0x"}}]"#)),
            ("eth_getLogs", format!(r#"[{{"address":[{}],"topics":[]}}]"#, vec![format!("\"{zero}\""); 17].join(","))),
        ] {
            assert!(request(method, &params).read().is_err(), "{method} {params}");
        }
    }

    #[test]
    fn a_range_of_logs_is_bounded_by_the_pin() {
        let range = |from_block, to_block| {
            Read::Logs { address: vec![Address::ZERO], topics: vec![], from_block, to_block }.log_range(5_000)
        };
        assert_eq!(range(None, None), Some(5_000..=5_000));
        assert_eq!(range(Some(3_001), None), Some(3_001..=5_000));
        assert_eq!(range(Some(3_000), None), None);
        assert_eq!(range(Some(0), Some(1_999)), Some(0..=1_999));
        assert_eq!(range(Some(0), Some(2_000)), None);
        assert_eq!(range(None, Some(5_001)), None);
        assert_eq!(range(Some(u64::MAX), Some(u64::MAX)), None);
        assert_eq!(range(Some(11), Some(10)), None);
        assert_eq!(Read::BlockNumber.log_range(1), None);
    }
}
