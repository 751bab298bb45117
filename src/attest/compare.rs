//! From findings to verdicts: a proposed task against what this operator came to itself.

use alloy::primitives::B256;
use ditto_core::task::Task;
use ditto_core::verdict::{Reason, Verdict};

use crate::build::Finding;

/// The verdict on a task. `hash` is the userOpHash of the task as proposed; `finding` is what this operator came to, if
/// the occurrence was due and has been simulated; `planned` whether the occurrence is due in this slot.
#[must_use]
pub fn verdict(task: &Task, hash: B256, finding: Option<&Finding>, planned: bool) -> Verdict {
    match finding {
        None if !planned => Verdict::Reject(Reason::NotDue),
        // Due, but not simulated in time: slow hardware is not a verdict.
        None | Some(Finding::Trouble(_)) => Verdict::Abstain,
        Some(Finding::Nothing) => Verdict::Reject(Reason::NothingToDo),
        Some(Finding::Refused(reason)) => Verdict::Reject(*reason),
        // First what it began with: another trigger explains another operation.
        Some(Finding::Operation { task: own, .. }) if own.evidence != task.evidence => {
            Verdict::Reject(Reason::OtherEvidence)
        }
        // The hash leaves out the terms, which travel in the signature: they are compared as well.
        Some(Finding::Operation { task: own, hash: own_hash }) if *own_hash != hash || own.terms != task.terms => {
            Verdict::Reject(Reason::OtherOperation)
        }
        Some(Finding::Operation { task: own, .. }) if own.run != task.run => Verdict::Reject(Reason::OtherProof),
        Some(Finding::Operation { .. }) => Verdict::Approve,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::{Address, U256};
    use ditto_core::evidence::{Observation, Observed};
    use ditto_core::task::{ConsentTerms, Occurrence};
    use ditto_core::userop::UserOperation;

    fn observation() -> Observation {
        Observation {
            trigger: 0,
            chain_id: 1,
            block_number: 5,
            block_hash: B256::repeat_byte(5),
            observed: Observed::Log(1),
            digest: B256::repeat_byte(6),
        }
    }

    fn task() -> Task {
        Task {
            occurrence: Occurrence { workflow: 1, slot: 2 },
            op: UserOperation {
                sender: Address::ZERO,
                nonce: U256::ZERO,
                call_data: Default::default(),
                verification_gas: 1,
                call_gas: 1,
                pre_verification_gas: 1,
                max_fee: 1,
                max_priority_fee: 1,
            },
            terms: ConsentTerms { session_key: Address::ZERO, valid_after: 1, valid_until: 2 },
            evidence: vec![observation()],
            run: B256::repeat_byte(1),
        }
    }

    #[test]
    fn only_the_very_same_task_is_approved() {
        let hash = B256::repeat_byte(9);
        let own = Finding::Operation { task: Box::new(task()), hash };
        assert_eq!(verdict(&task(), hash, Some(&own), true), Verdict::Approve);
        let other = B256::repeat_byte(8);
        assert_eq!(verdict(&task(), other, Some(&own), true), Verdict::Reject(Reason::OtherOperation));
        let mut longer = task();
        longer.terms.valid_until = 3;
        assert_eq!(verdict(&longer, hash, Some(&own), true), Verdict::Reject(Reason::OtherOperation));
        let mut forged = task();
        forged.run = B256::ZERO;
        assert_eq!(verdict(&forged, hash, Some(&own), true), Verdict::Reject(Reason::OtherProof));
    }

    #[test]
    fn wrong_evidence_is_rejected_with_its_reason() {
        let hash = B256::repeat_byte(9);
        let own = Finding::Operation { task: Box::new(task()), hash };
        let other = |change: fn(&mut Vec<Observation>)| {
            let mut forged = task();
            change(&mut forged.evidence);
            verdict(&forged, hash, Some(&own), true)
        };
        let reason = Verdict::Reject(Reason::OtherEvidence);
        assert_eq!(other(|seen| seen[0].observed = Observed::Log(2)), reason);
        assert_eq!(other(|seen| seen[0].block_hash = B256::ZERO), reason);
        assert_eq!(other(|seen| seen[0].digest = B256::ZERO), reason);
        assert_eq!(other(Vec::clear), reason);
        assert_eq!(other(|seen| seen.push(observation())), reason);
        assert_eq!(other(|_| ()), Verdict::Approve);
    }

    #[test]
    fn own_trouble_is_no_verdict_and_own_refusal_is() {
        let hash = B256::ZERO;
        assert_eq!(verdict(&task(), hash, None, false), Verdict::Reject(Reason::NotDue));
        assert_eq!(verdict(&task(), hash, None, true), Verdict::Abstain);
        assert_eq!(verdict(&task(), hash, Some(&Finding::Trouble("timed_out")), true), Verdict::Abstain);
        assert_eq!(verdict(&task(), hash, Some(&Finding::Nothing), true), Verdict::Reject(Reason::NothingToDo));
        let refused = Finding::Refused(Reason::Policy);
        assert_eq!(verdict(&task(), hash, Some(&refused), true), Verdict::Reject(Reason::Policy));
    }
}
