//! What a slot's runs read: answered at the slot's pins, each distinct read once.
//!
//! A read means what a lone `eth_call` by block hash means, with a fixed sender and gas. Identical reads of a slot go to
//! the node once, whoever asks first. A call that reverts yields its revert data; what a client says in words never
//! reaches a run.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::{Address, B256, Bytes, U256};
use ditto_core::chain::{Batcher, CALL_GAS, Request, RpcError, at};
use ditto_core::proposal::Pin;
use ditto_sandbox::{ReadAnswer, ReadReply, ReadRequest, Reads};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use crate::slot::Chains;

/// The sender of every read: nobody.
const FROM: Address = Address::ZERO;

type Cell = Arc<OnceCell<ReadAnswer>>;

/// The reads of one slot.
#[derive(Debug)]
pub struct SlotReads {
    chains: Arc<Chains>,
    pins: BTreeMap<u64, Pin>,
    answers: Mutex<HashMap<ReadKey, Cell>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ReadKey {
    chain_id: u64,
    method: String,
    params: String,
}

impl SlotReads {
    /// Reads at these pins.
    #[must_use]
    pub fn new(chains: Arc<Chains>, pins: &[Pin]) -> Self {
        let pins = pins.iter().map(|pin| (pin.chain_id, *pin)).collect();
        Self { chains, pins, answers: Mutex::default() }
    }

    /// The chains that can be read.
    #[must_use]
    pub fn chain_ids(&self) -> Vec<u64> {
        self.pins.keys().copied().collect()
    }

    async fn answer(self: Arc<Self>, request: ReadRequest) -> ReadAnswer {
        let (Some(pin), Some(node)) = (self.pins.get(&request.chain_id), self.chains.get(&request.chain_id)) else {
            return ReadAnswer::Failed;
        };
        // The block number is the pin's: it needs no node.
        if request.method == "eth_blockNumber" {
            return ReadAnswer::Ok(format!("\"0x{:x}\"", pin.number));
        }
        let Some(asked) = pinned(&request, pin) else { return ReadAnswer::Failed };
        let key = ReadKey { chain_id: request.chain_id, method: request.method, params: request.params };
        // Entries per slot are bounded by the runs and their read limit.
        let cell = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.entry(key).or_default().clone()
        };
        let hit = cell.initialized();
        metrics::counter!("ditto_reads_total", "cache" => if hit { "hit" } else { "miss" }).increment(1);
        // A failure is not kept: the next run may have better luck with the node.
        cell.get_or_try_init(|| ask(node, asked)).await.cloned().unwrap_or(ReadAnswer::Failed)
    }
}

async fn ask(node: &Batcher, request: Request) -> Result<ReadAnswer, RpcError> {
    let method = request.method;
    let answer = match node.ask(request).await {
        Ok(result) => canonical(method, result.get())
            .map(ReadAnswer::Ok)
            .ok_or_else(|| RpcError::Shape { chain: node.rpc().chain(), cause: format!("{method}: not hexadecimal") }),
        Err(RpcError::Reverted(data)) => Ok(ReadAnswer::Reverted(data.to_vec())),
        Err(error) => Err(error),
    };
    answer.inspect_err(|error| tracing::warn!(%error, "a read failed"))
}

/// The answer in the one form that all clients' answers come down to: it is hashed into the proof of task.
fn canonical(method: &str, json: &str) -> Option<String> {
    let text: String = serde_json::from_str(json).ok()?;
    Some(match method {
        "eth_getBalance" => format!("\"0x{:x}\"", text.parse::<U256>().ok()?),
        "eth_getStorageAt" => format!("\"{}\"", B256::from(text.parse::<U256>().ok()?)),
        _ => format!("\"{}\"", text.parse::<Bytes>().ok()?),
    })
}

/// The request to the node: the method from our list, the parameters re-made from what was asked, the block the pin's.
/// `None` when the method or the parameters are not allowed.
fn pinned(request: &ReadRequest, pin: &Pin) -> Option<Request> {
    let params: Vec<Value> = serde_json::from_str(&request.params).ok()?;
    let block = at(pin.hash);
    let (method, params) = match (request.method.as_str(), params.as_slice()) {
        ("eth_call", [call]) => {
            let (to, data) = (address(call.get("to")?)?, hex(call.get("data")?)?);
            ("eth_call", json!([{ "from": FROM, "to": to, "data": data, "gas": CALL_GAS }, block]))
        }
        ("eth_getBalance", [account]) => ("eth_getBalance", json!([address(account)?, block])),
        ("eth_getCode", [account]) => ("eth_getCode", json!([address(account)?, block])),
        ("eth_getStorageAt", [account, place]) => ("eth_getStorageAt", json!([address(account)?, hex(place)?, block])),
        _ => return None,
    };
    Some(Request::new(method, &params))
}

fn address(value: &Value) -> Option<Address> {
    value.as_str()?.parse().ok()
}

fn hex(value: &Value) -> Option<&str> {
    let text = value.as_str()?;
    text.strip_prefix("0x")?.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(text)
}

/// [`SlotReads`] on a runtime, as the sandbox asks it.
pub struct Reader {
    /// The slot's reads.
    pub reads: Arc<SlotReads>,
    /// Where the waiting is done.
    pub runtime: Handle,
}

impl Reads for Reader {
    fn read(&self, request: ReadRequest, reply: ReadReply) {
        let reads = self.reads.clone();
        self.runtime.spawn(async move { reply.answer(reads.answer(request).await) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: Pin = Pin { chain_id: 1, number: 7, hash: B256::ZERO };

    fn asked(method: &str, params: &str) -> Option<Request> {
        pinned(&ReadRequest { chain_id: 1, method: method.into(), params: params.into() }, &PIN)
    }

    #[test]
    fn only_reads_on_the_list_reach_a_node() {
        for method in ["eth_sendRawTransaction", "eth_accounts", "anvil_setBalance", "eth_call2", ""] {
            assert_eq!(asked(method, "[]"), None, "{method}");
        }
    }

    #[test]
    fn answers_of_all_clients_come_down_to_one_form() {
        assert_eq!(canonical("eth_call", "\"0xAB\"").as_deref(), Some("\"0xab\""));
        assert_eq!(canonical("eth_getBalance", "\"0x00ff\"").as_deref(), Some("\"0xff\""));
        let word = format!("\"0x{}1\"", "0".repeat(63));
        assert_eq!(canonical("eth_getStorageAt", "\"0x1\""), Some(word));
        assert_eq!(canonical("eth_call", "{}"), None);
        assert_eq!(canonical("eth_call", "\"hello\""), None);
    }

    #[test]
    fn a_call_keeps_target_and_data_and_nothing_else() {
        let zero = Address::ZERO;
        let params = format!(r#"[{{"to":"{zero}","data":"0x01","gas":"0x1","from":"{FROM}","value":"0x5"}}]"#);
        let request = asked("eth_call", &params).map(|request| request.params);
        assert!(request.is_some_and(|params| params.contains(CALL_GAS) && !params.contains("value")));
        assert_eq!(asked("eth_call", r#"[{"to":"nobody","data":"0x"}]"#), None);
        assert_eq!(asked("eth_call", r#"[{"to":"0x0000000000000000000000000000000000000000","data":"zz"}]"#), None);
        assert_eq!(asked("eth_call", "[]"), None);
        assert_eq!(asked("eth_call", "{"), None);
    }
}
