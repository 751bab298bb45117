//! Reading operator sets from OBLS.
//!
//! A set never changes once committed, so it is read once and kept; who is jailed is read with every look, because a
//! jailed operator counts zero in every set. A set's election seed is the hash of a block a little after the one in
//! which it froze: nobody who joined could know it. A new set takes over when it has settled, a number of blocks later that
//! exceeds the chain's finality; until then the one before goes on. So which set it is follows from the pin alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::{Address, B256};
use serde::Deserialize;

use super::bindings::obls::OBLS;
use super::{Head, Request, Rpc, RpcError};
use crate::bls::{KeyError, PublicKey};
use crate::operators::{Member, OperatorSet};

/// Blocks between a set's freezing and the block that seeds its elections.
const SEED_DELAY: u64 = 2;

/// Why there is no operator set.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SetError {
    /// No set was ever committed.
    #[error("OBLS at {obls} has no operator set yet")]
    None {
        /// The contract.
        obls: Address,
    },
    /// The first set has not settled yet.
    #[error("operator set {id} has not settled yet: it takes over at block {block}")]
    Unsettled {
        /// The set.
        id: u32,
        /// When it will have.
        block: u64,
    },
    /// A registered key is no key.
    #[error("operator set {id} holds an invalid key for {controller}: {cause}")]
    Key {
        /// The set.
        id: u32,
        /// Whose key.
        controller: Address,
        /// Why not.
        cause: KeyError,
    },
    /// The node did not answer as it should.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

/// Reads and keeps operator sets.
#[derive(Debug)]
pub struct SetReader {
    rpc: Arc<Rpc>,
    obls: Address,
    settles: u64,
    known: Mutex<HashMap<u32, Arc<OperatorSet>>>,
}

#[derive(Deserialize)]
struct BlockId {
    hash: B256,
}

impl SetReader {
    /// A reader of the OBLS at this address; sets take over `settles` blocks after they froze
    /// ([`crate::network::NetworkConfig::set_settles_blocks`]).
    #[must_use]
    pub fn new(rpc: Arc<Rpc>, obls: Address, settles: u64) -> Self {
        Self { rpc, obls, settles: settles.max(SEED_DELAY), known: Mutex::default() }
    }

    /// The set that is in office at a block, with its jailed operators at power zero.
    ///
    /// # Errors
    /// When there is none that can be used, or the node did not answer.
    pub async fn current(&self, head: &Head) -> Result<Arc<OperatorSet>, SetError> {
        let mut id = self.rpc.call(self.obls, &OBLS::currentSetIdCall {}, head.hash).await?;
        loop {
            if id == 0 {
                return Err(SetError::None { obls: self.obls });
            }
            let info = self.rpc.call(self.obls, &OBLS::setOfCall { setId: id }, head.hash).await?;
            let settled = info.createdAtBlock.saturating_add(self.settles);
            if settled <= head.number {
                return self.set(id, head.hash).await;
            }
            if id == 1 {
                return Err(SetError::Unsettled { id, block: settled });
            }
            id -= 1;
        }
    }

    /// A set by its id.
    ///
    /// # Errors
    /// As [`Self::current`].
    pub async fn set(&self, id: u32, block: B256) -> Result<Arc<OperatorSet>, SetError> {
        if id == 0 {
            return Err(SetError::None { obls: self.obls });
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let set = match known {
            Some(set) => set,
            None => {
                let set = Arc::new(self.read(id, block).await?);
                self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id, set.clone());
                tracing::info!(set = id, members = set.members.len(), power = set.total_power, "operator set read");
                set
            }
        };
        let jailed = self.rpc.call(self.obls, &OBLS::jailedOfCall { setId: id }, block).await?;
        // One bit per member, in words of 256.
        let is_jailed = |index: usize| jailed.get(index / 256).is_some_and(|word| word.bit(index % 256));
        if !(0..set.members.len()).any(is_jailed) {
            return Ok(set);
        }
        Ok(Arc::new(set.without(is_jailed)))
    }

    async fn read(&self, id: u32, block: B256) -> Result<OperatorSet, SetError> {
        let info = self.rpc.call(self.obls, &OBLS::setOfCall { setId: id }, block).await?;
        let seed_block = info.createdAtBlock.saturating_add(SEED_DELAY);
        let params = serde_json::json!([format!("0x{seed_block:x}"), false]);
        let seed: BlockId = self.rpc.ask_for(Request::new("eth_getBlockByNumber", &params)).await?;
        let members = self.rpc.call(self.obls, &OBLS::membersOfCall { setId: id }, block).await?;
        let members = members
            .into_iter()
            .map(|member| {
                let key = PublicKey::from_eip2537(&member.key).map_err(|cause| SetError::Key {
                    id,
                    controller: member.controller,
                    cause,
                })?;
                Ok(Member {
                    controller: member.controller,
                    signer: member.signer,
                    power: member.power.to::<u128>(),
                    key,
                })
            })
            .collect::<Result<_, SetError>>()?;
        Ok(OperatorSet::new(id, members, seed.hash).with_randomness(info.randomness))
    }
}
