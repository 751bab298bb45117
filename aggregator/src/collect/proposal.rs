//! Is a gossiped batch one that this network may attest?

use alloy::primitives::Address;
use ditto_core::admission::Accepted;
use ditto_core::clock::Slot;
use ditto_core::consent::SigningDomain;
use ditto_core::election::performers;
use ditto_core::network::NetworkConfig;
use ditto_core::p2p::Acceptance;
use ditto_core::proposal::{BatchId, Malformed, ProposedBatch};

/// Why a batch is not taken. The label counts it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It contradicts itself.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Another aggregator or task definition than the network's.
    #[error("the proposal names another aggregator or task definition")]
    OtherNetwork,
    /// The set is not accepted (any more, or yet).
    #[error("operator set {0} is not accepted")]
    UnknownSet(u32),
    /// The performer is not among the slot's ranks.
    #[error("{performer} is not elected for slot {slot}")]
    NotElected {
        /// Who proposed.
        performer: Address,
        /// For which slot.
        slot: Slot,
    },
    /// The slot lies too far ahead.
    #[error("slot {0} lies ahead")]
    Early(Slot),
    /// The slot is over and its operations are no longer valid.
    #[error("slot {0} is over")]
    Late(Slot),
    /// More tasks or gas than one transaction of the network carries, or a task that may not be tried in this slot.
    #[error("a task, or all of them together, break the network's limits")]
    Limits,
}

impl Unfit {
    /// The metric's label.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::OtherNetwork => "other_network",
            Self::UnknownSet(_) => "unknown_set",
            Self::NotElected { .. } => "not_elected",
            Self::Early(_) => "early",
            Self::Late(_) => "late",
            Self::Limits => "limits",
        }
    }

    /// What gossip is told. Views of sets and clocks differ between honest nodes; everything else is a forwarder's fault.
    #[must_use]
    pub fn acceptance(&self) -> Acceptance {
        match self {
            Self::UnknownSet(_) | Self::Early(_) | Self::Late(_) => Acceptance::Ignore,
            Self::Malformed(_) | Self::OtherNetwork | Self::NotElected { .. } | Self::Limits => Acceptance::Reject,
        }
    }
}

/// Checks a batch against network, sets and time; what needs curve work comes last.
///
/// # Errors
/// Why it is not taken.
pub fn check(
    proposed: &ProposedBatch,
    network: &NetworkConfig,
    domain: &SigningDomain,
    accepted: &Accepted,
    now_ms: u64,
    slots_ahead: u64,
) -> Result<BatchId, Unfit> {
    let proposal = &proposed.proposal;
    let slot = proposal.slot;
    if proposal.aggregator != network.aggregator || proposal.taskDefinitionId != network.task_definition {
        return Err(Unfit::OtherNetwork);
    }
    let now = network.schedule().slot_at_ms(now_ms).unwrap_or_default();
    if slot > now.saturating_add(slots_ahead) {
        return Err(Unfit::Early(slot));
    }
    let valid_until = network.valid_until(slot);
    if valid_until.saturating_mul(1000) <= now_ms {
        return Err(Unfit::Late(slot));
    }
    let set = accepted.set(proposal.setId).ok_or(Unfit::UnknownSet(proposal.setId))?;
    let elected = performers(set, slot, network.ranks);
    if !elected.iter().filter_map(|index| set.members.get(*index)).any(|member| member.signer == proposal.performer) {
        return Err(Unfit::NotElected { performer: proposal.performer, slot });
    }
    // Operations that outlive the slot's validity would keep the ledger waiting for as long as a performer likes.
    let tasks_fit = proposed.tasks.iter().all(|task| {
        task.terms.valid_until <= valid_until
            && task.terms.valid_until.saturating_mul(1000) > now_ms
            && network.may_attempt(task.occurrence, slot)
    });
    if !network.fits(&proposed.tasks) || !tasks_fit {
        return Err(Unfit::Limits);
    }
    Ok(proposed.check(domain)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::*;
    use ditto_core::admission::AcceptedSets;

    fn judge(proposed: &ProposedBatch, now_ms: u64) -> Result<BatchId, Unfit> {
        let sets = AcceptedSets::new();
        sets.replace(vec![operator_set(&[1; 6])]);
        check(proposed, &network(), &domain(), &sets.get(), now_ms, 1)
    }

    #[test]
    fn an_elected_performers_batch_is_taken_and_nothing_else() {
        let set = operator_set(&[1; 6]);
        let ranks = performers(&set, SLOT, 6);
        let good = propose(ranks[0], vec![task(1), task(2)]);
        assert_eq!(judge(&good, now_ms()), Ok(good.id(&domain())));
        assert!(judge(&propose(ranks[2], vec![task(1)]), now_ms()).is_ok(), "the last rank may step in");
        let outsider = judge(&propose(ranks[3], vec![task(1)]), now_ms()).unwrap_err();
        assert_eq!((outsider.label(), outsider.acceptance()), ("not_elected", Acceptance::Reject));

        assert_eq!(judge(&good, now_ms() + 10_000), Err(Unfit::Late(SLOT)));
        assert_eq!(judge(&good, now_ms() - 4_000), Err(Unfit::Early(SLOT)));
        let mut forged = good.clone();
        forged.signature = propose(ranks[1], vec![task(1)]).signature;
        assert_eq!(judge(&forged, now_ms()), Err(Unfit::Malformed(Malformed::Signature)));
        let mut other = good.clone();
        other.proposal.setId = 9;
        assert_eq!(judge(&other, now_ms()), Err(Unfit::UnknownSet(9)));
        let mut other = good;
        other.proposal.aggregator = Address::ZERO;
        assert_eq!(judge(&other, now_ms()), Err(Unfit::OtherNetwork));
    }

    #[test]
    fn tasks_that_would_wait_for_ever_or_do_not_fit_are_refused() {
        let performer = performers(&operator_set(&[1; 6]), SLOT, 1)[0];
        let mut long = task(1);
        long.terms.valid_until += 1;
        let mut heavy = task(1);
        heavy.op.call_gas = network().batch_gas;
        let mut foreign = task(1);
        foreign.occurrence.slot = SLOT - 1;
        for tasks in [vec![long], vec![heavy], vec![foreign], (1..=33).map(task).collect()] {
            assert_eq!(judge(&propose(performer, tasks), now_ms()), Err(Unfit::Limits));
        }
    }
}
