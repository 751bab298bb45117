//! Whose turn it is to submit.
//!
//! The contract takes a certificate from the aggregator that the proposal names at any time, and from every member of the
//! operator set from `aggregatorDeadline` seconds after the slot's start on. Those that step in do so one after the other:
//! each of them simulates first, and what the one before it brought to the chain is not sent again.

use std::sync::Arc;

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use ditto_core::chain::bindings::attestation_center::AttestationCenter;
use ditto_core::chain::{Request, Rpc, RpcError};
use ditto_core::clock::SlotSchedule;
use ditto_core::p2p::{PeerInfo, Role};
use serde_json::json;
use tokio::sync::{OnceCell, watch};

use super::Hindrance;
use crate::batch::Batch;
use crate::config::StandbyConfig;
use crate::governance::Governance;

/// When this node may submit.
#[derive(Clone, Debug)]
pub enum RightOfWay {
    /// At once: it is the aggregator that proposals name.
    Named,
    /// It is a process that stands by for the aggregator; its rank is configured.
    Standby(StandbyConfig),
    /// It is an operator. Its rank changes with the slot ([`ditto_core::operators::OperatorSet::standbys`]); it comes after
    /// the processes that stand by, of which it knows by its peers.
    Member {
        /// Whose sets they are.
        governance: Governance,
        /// How much later than the one before it each operator submits, in seconds of the chain's time.
        step_seconds: u64,
        /// The peers.
        peers: watch::Receiver<Arc<[PeerInfo]>>,
    },
}

/// From how many seconds after a slot's start others than the aggregator may submit; asked once, for it never changes.
#[derive(Debug, Default)]
pub struct ContractDeadline(OnceCell<u32>);

impl ContractDeadline {
    /// The deadline.
    ///
    /// # Errors
    /// When the node must be asked and does not answer.
    pub async fn seconds(&self, rpc: &Rpc, attestation_center: Address) -> Result<u64, RpcError> {
        let asked = async || {
            let call = AttestationCenter::aggregatorDeadlineCall {}.abi_encode();
            let asked = json!([{ "to": attestation_center, "data": Bytes::from(call) }, "latest"]);
            let seconds: U256 = rpc.ask_for(Request::new("eth_call", &asked)).await?;
            Ok::<_, RpcError>(u32::try_from(seconds).unwrap_or(u32::MAX))
        };
        Ok(u64::from(*self.0.get_or_try_init(asked).await?))
    }
}

impl RightOfWay {
    /// How many seconds after the contract's deadline this node's turn is; nothing when it may submit before it.
    ///
    /// # Errors
    /// When it has no turn: it is no member, or another process uses its key.
    pub fn after_deadline(&self, batch: &Batch, own: Address) -> Result<Option<u64>, NoTurn> {
        match self {
            Self::Named => Ok(None),
            Self::Standby(StandbyConfig { rank, step_seconds }) => {
                Ok(rank.checked_sub(1).map(|before| before.saturating_mul(*step_seconds)))
            }
            Self::Member { governance, step_seconds, peers } => {
                let accepted = governance.sets().get();
                let set = accepted.set(batch.set_id());
                let rank = set.and_then(|set| set.standby_rank(batch.slot(), own)).ok_or(NoTurn::NoMember)?;
                let peers = peers.borrow();
                let standbys = peers.iter().filter(|peer| matches!(peer.role, Role::Standby(_)));
                if standbys.clone().any(|peer| peer.role == Role::Standby(own.into_array())) {
                    return Err(NoTurn::KeyInUse);
                }
                let before = rank.saturating_add(standbys.count());
                Ok(Some(u64::try_from(before).unwrap_or(u64::MAX).saturating_mul(*step_seconds)))
            }
        }
    }
}

/// Why a node has no turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTurn {
    /// The contract would refuse it.
    #[error("this operator is no member of the batch's operator set")]
    NoMember,
    /// Two processes would give the same nonces to different transactions.
    #[error("a standby process uses this operator's delegated signer; give it another operator's, or end it")]
    KeyInUse,
}

/// The second of the chain's time from which on a node may submit a batch of `slot`.
///
/// # Errors
/// That it is earlier than that.
pub fn not_before(
    schedule: SlotSchedule,
    batch: &Batch,
    deadline: u64,
    after: u64,
    head_seconds: u64,
) -> Result<(), Hindrance> {
    let at = schedule.start_seconds(batch.slot()).saturating_add(deadline).saturating_add(after);
    if head_seconds >= at { Ok(()) } else { Err(Hindrance::NotYet(at)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::*;
    use ditto_core::admission::AcceptedSets;
    use ditto_core::p2p::Keypair;

    #[test]
    fn operators_take_turns_after_the_processes_that_stand_by_and_never_with_anothers_key() {
        let set = operator_set(&[5, 5, 5, 5]);
        let sets = AcceptedSets::new();
        sets.replace(vec![set.clone()]);
        let batch = batch(0, 1);
        let own = set.members[2].signer;
        let (peers, watching) = watch::channel::<Arc<[PeerInfo]>>(Arc::new([]));
        let right = RightOfWay::Member { governance: Governance::new(sets.clone()), step_seconds: 3, peers: watching };
        let rank = set.standby_rank(SLOT, own).unwrap() as u64;
        assert_eq!(right.after_deadline(&batch, own), Ok(Some(3 * rank)));
        assert_eq!(right.after_deadline(&batch, Address::with_last_byte(99)), Err(NoTurn::NoMember));

        let peer = |role| PeerInfo {
            peer_id: Keypair::generate_ed25519().public().to_peer_id(),
            role,
            address: "/ip4/127.0.0.1/tcp/1".parse().unwrap(),
        };
        let standby = peer(Role::Standby([7; 20]));
        peers.send_replace(Arc::new([standby.clone(), peer(Role::Operator([8; 20]))]));
        assert_eq!(right.after_deadline(&batch, own), Ok(Some(3 * (rank + 1))), "after the process");
        peers.send_replace(Arc::new([standby, peer(Role::Standby(own.into_array()))]));
        assert_eq!(right.after_deadline(&batch, own), Err(NoTurn::KeyInUse));
        sets.replace(vec![]);
        assert_eq!(right.after_deadline(&batch, own), Err(NoTurn::NoMember), "the set is not accepted any more");
    }

    #[test]
    fn the_named_aggregator_waits_for_nobody() {
        let batch = batch(0, 1);
        assert_eq!(RightOfWay::Named.after_deadline(&batch, Address::ZERO), Ok(None));
        let standby = |rank| RightOfWay::Standby(StandbyConfig { rank, step_seconds: 2 });
        let after = |rank| standby(rank).after_deadline(&batch, Address::ZERO).unwrap();
        assert_eq!([after(0), after(1), after(2), after(3)], [None, Some(0), Some(2), Some(4)]);
    }
}
