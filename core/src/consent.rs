//! The EIP-712 types that performers and attesters sign, and their digests.
//!
//! The domain is the target chain's AttestationCenter, which recomputes every digest from the operations themselves:
//! set, quorum rule, slot and performer cannot be swapped under a signature.

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol;
use alloy::sol_types::{Eip712Domain, SolStruct};

use crate::task::Task;
use crate::verdict::{Verdict, VerdictVector};

sol! {
    /// What a slot's performer signs (ECDSA).
    #[derive(Debug, PartialEq, Eq)]
    struct Proposal {
        uint64 slot;
        uint32 setId;
        uint16 taskDefinitionId;
        address performer;
        address aggregator;
        bytes32 pins;
        bytes32 tasks;
        uint256 targetChainId;
    }

    /// The consent to one operation.
    #[derive(Debug, PartialEq, Eq)]
    struct UserOpConsent {
        bytes32 userOpHash;
        address smartAccount;
        address sessionKey;
        uint256 sessionNonce;
        uint48 validAfter;
        uint48 validUntil;
        uint256 targetChainId;
    }

    /// The refusal of one operation.
    #[derive(Debug, PartialEq, Eq)]
    struct UserOpRejection {
        bytes32 userOpHash;
        address smartAccount;
        uint8 reason;
    }

    /// What a vote signs (BLS): one signature for a whole batch.
    #[derive(Debug, PartialEq, Eq)]
    struct VerdictBatch {
        bytes32 proposal;
        UserOpConsent[] approved;
        UserOpRejection[] rejected;
    }
}

/// Where signatures are meant to be used: one chain's AttestationCenter, and the EntryPoint that its hook drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningDomain {
    /// EIP-155 id of the target chain.
    pub chain_id: u64,
    /// The AttestationCenter on that chain.
    pub attestation_center: Address,
    /// The EntryPoint on that chain.
    pub entry_point: Address,
}

impl SigningDomain {
    /// The EIP-712 domain.
    #[must_use]
    pub fn eip712(&self) -> Eip712Domain {
        Eip712Domain::new(
            Some("Ditto".into()),
            Some("1".into()),
            Some(U256::from(self.chain_id)),
            Some(self.attestation_center),
            None,
        )
    }

    /// The operation's hash on this chain.
    #[must_use]
    pub fn user_op_hash(&self, task: &Task) -> B256 {
        task.op.hash(self.entry_point, self.chain_id)
    }

    /// Names a task with everything that attesters compare: the operation, the terms of its consent, its proof.
    #[must_use]
    pub fn task_id(&self, task: &Task) -> B256 {
        let terms = task.terms.encode(task.occurrence);
        keccak256([self.user_op_hash(task).as_slice(), task.proof().as_slice(), &terms].concat())
    }

    /// What the performer signs.
    #[must_use]
    pub fn proposal_digest(&self, proposal: &Proposal) -> B256 {
        proposal.eip712_signing_hash(&self.eip712())
    }

    /// The consent to a task's operation.
    #[must_use]
    pub fn consent(&self, task: &Task) -> UserOpConsent {
        UserOpConsent {
            userOpHash: self.user_op_hash(task),
            smartAccount: task.op.sender,
            sessionKey: task.terms.session_key,
            sessionNonce: task.occurrence.number(),
            validAfter: alloy::primitives::aliases::U48::from(task.terms.valid_after),
            validUntil: alloy::primitives::aliases::U48::from(task.terms.valid_until),
            targetChainId: U256::from(self.chain_id),
        }
    }

    /// What a vote for this vector signs. Tasks and verdicts are paired in the batch's order.
    #[must_use]
    pub fn verdict_digest(&self, proposal_digest: B256, tasks: &[Task], verdicts: &VerdictVector) -> B256 {
        let mut batch = VerdictBatch { proposal: proposal_digest, approved: Vec::new(), rejected: Vec::new() };
        for (task, verdict) in tasks.iter().zip(&verdicts.0) {
            match verdict {
                Verdict::Approve => batch.approved.push(self.consent(task)),
                Verdict::Reject(reason) => batch.rejected.push(UserOpRejection {
                    userOpHash: self.user_op_hash(task),
                    smartAccount: task.op.sender,
                    reason: *reason as u8,
                }),
                Verdict::Abstain => {}
            }
        }
        batch.eip712_signing_hash(&self.eip712())
    }
}
