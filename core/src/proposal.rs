//! Proposals: a slot's tasks, cut into batches.
//!
//! A performer signs one proposal per slot and target chain. Its `tasks` field commits to the list of batch hashes, so
//! a slot with more tasks than one transaction can execute is still one proposal: two different proposals of one
//! performer for one slot are a fault, however many batches there are. Each batch travels, is voted on and is submitted
//! alone, carrying the header and the other batches' hashes.

use alloy::primitives::{Address, B256, Signature, U256, keccak256};
use serde::{Deserialize, Serialize};

use crate::consent::{Proposal, SigningDomain};
use crate::task::Task;

/// The most tasks in a batch: the AttestationCenter keeps one bit per task in one word.
pub const MAX_TASKS: usize = 256;
/// The most batches in a proposal.
pub const MAX_BATCHES: usize = 64;
/// The most bytes of an operation's call data: two such operations fit a gossiped message, so a large one never stops a
/// batch of others.
pub const MAX_CALL_DATA: usize = 64 * 1024;
/// The most chains in a slot's pins.
pub const MAX_PINS: usize = 32;

/// A block that a chain is read at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pin {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Block number.
    pub number: u64,
    /// Block hash.
    pub hash: B256,
}

/// keccak256 over (chain id, number, hash), each a 32-byte word, in ascending order of the chain id.
#[must_use]
pub fn hash_pins(pins: &[Pin]) -> B256 {
    let mut sorted = pins.to_vec();
    sorted.sort_unstable();
    let mut bytes = Vec::with_capacity(sorted.len() * 96);
    for pin in sorted {
        bytes.extend_from_slice(&U256::from(pin.chain_id).to_be_bytes::<32>());
        bytes.extend_from_slice(&U256::from(pin.number).to_be_bytes::<32>());
        bytes.extend_from_slice(pin.hash.as_slice());
    }
    keccak256(bytes)
}

/// keccak256 over (userOpHash, proof of task) of every task, in order.
#[must_use]
pub fn hash_batch(domain: &SigningDomain, tasks: &[Task]) -> B256 {
    let mut bytes = Vec::with_capacity(tasks.len() * 64);
    for task in tasks {
        bytes.extend_from_slice(domain.user_op_hash(task).as_slice());
        bytes.extend_from_slice(task.proof().as_slice());
    }
    keccak256(bytes)
}

/// keccak256 over the batch hashes: what a proposal's `tasks` commits to.
#[must_use]
pub fn hash_batches(hashes: &[B256]) -> B256 {
    keccak256(hashes.concat())
}

/// One batch of a signed proposal: what is gossiped, voted on and submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedBatch {
    /// What the performer signed.
    pub proposal: Proposal,
    /// The performer's signature over the proposal's digest.
    pub signature: [u8; 65],
    /// The engine that the performer simulated with.
    pub engine_id: B256,
    /// The blocks that the slot was simulated at.
    pub pins: Vec<Pin>,
    /// The hashes of all the proposal's batches.
    pub batch_hashes: Vec<B256>,
    /// Which of them this is.
    pub index: u16,
    /// This batch's tasks.
    pub tasks: Vec<Task>,
}

/// Names a batch for ever: the proposal's digest and the batch's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BatchId {
    /// EIP-712 digest of the proposal.
    pub proposal: B256,
    /// The batch's index in the proposal.
    pub index: u16,
}

impl std::fmt::Display for BatchId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, ..] = self.proposal.0;
        write!(f, "{a:02x}{b:02x}{c:02x}{d:02x}/{}", self.index)
    }
}

/// Why a proposed batch is not what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// No task, or more than a transaction takes.
    #[error("a batch holds 1 to {MAX_TASKS} tasks")]
    TaskCount,
    /// The batch is not among the batch hashes at its index.
    #[error("the batch's hash is not the one at its index")]
    BatchHash,
    /// The batch hashes are not what the proposal commits to.
    #[error("the batch hashes are not what the proposal signs")]
    TasksHash,
    /// The pins are not what the proposal commits to.
    #[error("the pins are not what the proposal signs")]
    PinsHash,
    /// The proposal is for another chain.
    #[error("the proposal is for another chain")]
    TargetChain,
    /// The signature is no signature, or another's than the performer's.
    #[error("the signature is not the performer's")]
    Signature,
    /// One occurrence stands in the batch twice.
    #[error("an occurrence stands in the batch twice")]
    Duplicate,
}

impl ProposedBatch {
    /// The batch's name.
    #[must_use]
    pub fn id(&self, domain: &SigningDomain) -> BatchId {
        BatchId { proposal: domain.proposal_digest(&self.proposal), index: self.index }
    }

    /// Checks all that can be checked without knowing anything else: counts, hashes, chain and signature.
    /// Cheap checks come first.
    ///
    /// # Errors
    /// What is malformed.
    pub fn check(&self, domain: &SigningDomain) -> Result<BatchId, Malformed> {
        if self.tasks.is_empty() || self.tasks.len() > MAX_TASKS {
            return Err(Malformed::TaskCount);
        }
        if self.proposal.targetChainId != U256::from(domain.chain_id) {
            return Err(Malformed::TargetChain);
        }
        let mut occurrences: Vec<_> = self.tasks.iter().map(|task| task.occurrence).collect();
        occurrences.sort_unstable();
        if occurrences.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Malformed::Duplicate);
        }
        if hash_batches(&self.batch_hashes) != self.proposal.tasks {
            return Err(Malformed::TasksHash);
        }
        if hash_pins(&self.pins) != self.proposal.pins {
            return Err(Malformed::PinsHash);
        }
        if self.batch_hashes.get(usize::from(self.index)) != Some(&hash_batch(domain, &self.tasks)) {
            return Err(Malformed::BatchHash);
        }
        let id = self.id(domain);
        if recover(&self.signature, id.proposal) != Some(self.proposal.performer) {
            return Err(Malformed::Signature);
        }
        Ok(id)
    }
}

/// The address that signed `digest`. What the contract refuses recovers to nobody: high s (EIP-2), and a recovery id that is
/// not 27 or 28.
#[must_use]
pub fn recover(signature: &[u8; 65], digest: B256) -> Option<Address> {
    if !matches!(signature[64], 27 | 28) {
        return None;
    }
    let signature = Signature::from_raw_array(signature).ok()?;
    if signature.normalize_s().is_some() {
        return None;
    }
    signature.recover_address_from_prehash(&digest).ok()
}
