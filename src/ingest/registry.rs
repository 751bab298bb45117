//! The published workflows, as the registry's events tell them up to a block.
//!
//! Publications carry the time of their block: a workflow is due in a slot only if it was in the registry at that slot's
//! pin, whenever the operator learnt of it. A reorganisation below the synced block starts the reading anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alloy::primitives::{Address, B256, keccak256};
use alloy::rpc::types::Log;
use alloy::sol_types::{SolEvent, SolValue};
use ditto_core::chain::bindings::registry::WorkflowRegistry;
use ditto_core::chain::{Batcher, Request, RpcError};
use ditto_core::clock::{Slot, SlotSchedule};
use ditto_core::proposal::Pin;
use ditto_core::task::WorkflowId;
use serde::Deserialize;

use super::triggers::{Trigger, TriggerError};

/// Blocks per `eth_getLogs`: what public providers allow.
const RANGE: u64 = 2_000;

/// A published workflow.
#[derive(Debug)]
pub struct Workflow {
    /// Its number.
    pub id: WorkflowId,
    /// The smart account it acts for.
    pub account: Address,
    /// keccak256 of its code.
    pub code_hash: B256,
    /// The session it acts under.
    pub session_key: Address,
    /// When it is due, or why it never is.
    pub triggers: Result<Vec<Trigger>, TriggerError>,
    /// keccak256 of the published triggers: the trigger evidence of interval and cron.
    pub trigger_hash: B256,
    /// Its arguments: UTF-8 JSON.
    pub args: String,
    /// First second of its validity.
    pub valid_after: u64,
    /// Last second of its validity; zero: none.
    pub valid_until: u64,
    /// Unix time of the block that published it.
    pub published_at: u64,
}

impl Workflow {
    /// Whether it is due in a slot, given the lag of the slot's pin.
    #[must_use]
    pub fn is_due(&self, slot: Slot, schedule: &SlotSchedule, lag: u64) -> bool {
        let start = schedule.start_seconds(slot);
        let published = self.published_at <= start.saturating_sub(lag);
        let in_window = self.valid_after <= start && (self.valid_until == 0 || start <= self.valid_until);
        let Ok(triggers) = &self.triggers else { return false };
        published && in_window && !triggers.is_empty() && triggers.iter().all(|trigger| trigger.fires(slot, schedule))
    }
}

/// The registry, followed.
pub struct Registry {
    address: Address,
    first_block: u64,
    synced: Option<Pin>,
    workflows: BTreeMap<WorkflowId, Arc<Workflow>>,
    codes: HashMap<B256, Arc<[u8]>>,
}

/// Why code cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CodeError {
    /// The node failed.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The node gave other bytes than were published.
    #[error("the node gave code with hash {found} for {expected}")]
    Hash {
        /// What was asked for.
        expected: B256,
        /// What came.
        found: B256,
    },
}

#[derive(Deserialize)]
struct BlockTime {
    #[serde(with = "alloy::serde::quantity")]
    timestamp: u64,
    hash: B256,
}

impl Registry {
    /// The registry at this address, created in or after `first_block`.
    #[must_use]
    pub fn new(address: Address, first_block: u64) -> Self {
        Self { address, first_block, synced: None, workflows: BTreeMap::new(), codes: HashMap::new() }
    }

    /// The workflows that are published and not cancelled at the synced block.
    pub fn workflows(&self) -> impl Iterator<Item = &Arc<Workflow>> {
        self.workflows.values()
    }

    /// Reads on up to a pin.
    ///
    /// # Errors
    /// When the node does not answer; what was read before stays.
    pub async fn sync(&mut self, node: &Batcher, pin: Pin) -> Result<(), RpcError> {
        if let Some(synced) = self.synced {
            let params = serde_json::json!([format!("0x{:x}", synced.number), false]);
            let answer = node.ask(Request::new("eth_getBlockByNumber", &params)).await?;
            let canonical = serde_json::from_str::<BlockTime>(answer.get()).is_ok_and(|b| b.hash == synced.hash);
            if !canonical || pin.number < synced.number {
                tracing::warn!(block = synced.number, "the chain was reorganised below the synced block; reading anew");
                self.synced = None;
                self.workflows.clear();
            }
        }
        let mut from = self.synced.map_or(self.first_block, |synced| synced.number + 1);
        while from <= pin.number {
            let to = pin.number.min(from + RANGE - 1);
            self.read(node, from, to).await?;
            from = to + 1;
        }
        self.synced = Some(pin);
        Ok(())
    }

    async fn read(&mut self, node: &Batcher, from: u64, to: u64) -> Result<(), RpcError> {
        let topics =
            [WorkflowRegistry::WorkflowPublished::SIGNATURE_HASH, WorkflowRegistry::WorkflowCancelled::SIGNATURE_HASH];
        let params = serde_json::json!([{
            "address": self.address,
            "fromBlock": format!("0x{from:x}"),
            "toBlock": format!("0x{to:x}"),
            "topics": [topics],
        }]);
        let logs: Vec<Log> = node.rpc().ask_for(Request::new("eth_getLogs", &params)).await?;
        let mut times: HashMap<B256, u64> = HashMap::new();
        for log in logs {
            if let Ok(cancelled) = WorkflowRegistry::WorkflowCancelled::decode_log(&log.inner) {
                self.workflows.remove(&cancelled.id);
                continue;
            }
            let Ok(event) = WorkflowRegistry::WorkflowPublished::decode_log(&log.inner) else { continue };
            let Some(block) = log.block_hash else { continue };
            let published_at = match (log.block_timestamp, times.get(&block)) {
                (Some(time), _) | (None, Some(&time)) => time,
                (None, None) => {
                    let request = Request::new("eth_getBlockByHash", &serde_json::json!([block, false]));
                    node.rpc().ask_for::<BlockTime>(request).await?.timestamp
                }
            };
            times.insert(block, published_at);
            let workflow = Workflow::new(event.data, published_at);
            if let Err(error) = &workflow.triggers {
                tracing::warn!(workflow = workflow.id, %error, "a published workflow can never be due");
            }
            self.workflows.insert(workflow.id, Arc::new(workflow));
        }
        Ok(())
    }

    /// A workflow's code, read once and checked against its hash.
    ///
    /// # Errors
    /// When the node fails or gives other bytes.
    pub async fn code(&mut self, node: &Batcher, hash: B256, block: B256) -> Result<Arc<[u8]>, CodeError> {
        if let Some(code) = self.codes.get(&hash) {
            return Ok(code.clone());
        }
        let call = WorkflowRegistry::codeOfCall { codeHash: hash };
        let bytes = node.call(self.address, &call, block, None).await?;
        let found = keccak256(&bytes);
        if found != hash {
            return Err(CodeError::Hash { expected: hash, found });
        }
        let code: Arc<[u8]> = bytes.to_vec().into();
        self.codes.insert(hash, code.clone());
        Ok(code)
    }

    /// Forgets code that no published workflow refers to.
    pub fn forget_unused_code(&mut self) {
        let used: std::collections::HashSet<_> = self.workflows.values().map(|workflow| workflow.code_hash).collect();
        self.codes.retain(|hash, _| used.contains(hash));
    }
}

impl Workflow {
    fn new(event: WorkflowRegistry::WorkflowPublished, published_at: u64) -> Self {
        let published = event.workflow;
        let trigger_hash = keccak256(published.triggers.abi_encode());
        let triggers = published.triggers.iter().map(|trigger| Trigger::parse(trigger.kind, &trigger.data)).collect();
        Self {
            id: event.id,
            account: published.account,
            code_hash: published.codeHash,
            session_key: published.sessionKey,
            triggers,
            trigger_hash,
            args: String::from_utf8_lossy(&published.args).into_owned(),
            valid_after: published.validAfter.to(),
            valid_until: published.validUntil.to(),
            published_at,
        }
    }
}
