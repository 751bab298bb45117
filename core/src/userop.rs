//! ERC-4337 user operations, as EntryPoint v0.7 packs and hashes them.
//!
//! Operations of workflows never deploy an account and never use a paymaster, so `initCode` and `paymasterAndData` are
//! always empty and do not travel. The signature carries the consent's terms (64 bytes) and is not part of the hash.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::sol_types::SolValue;
use serde::{Deserialize, Serialize};

use crate::chain::bindings::PackedUserOperation;
use crate::task::{ConsentTerms, Occurrence, Task};

/// An operation of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserOperation {
    /// The smart account.
    pub sender: Address,
    /// EntryPoint nonce: validator module (160 bits), lane (32), sequence (64).
    pub nonce: U256,
    /// What the EntryPoint calls on the account.
    pub call_data: Bytes,
    /// Gas for validation.
    pub verification_gas: u64,
    /// Gas for execution.
    pub call_gas: u64,
    /// Gas paid for what the EntryPoint cannot measure.
    pub pre_verification_gas: u64,
    /// Wei per gas, at most.
    pub max_fee: u128,
    /// Wei per gas for the block's proposer, at most.
    pub max_priority_fee: u128,
}

impl UserOperation {
    /// `hash(userOp)` of EntryPoint v0.7: it binds the EntryPoint and the chain, and leaves the signature out.
    #[must_use]
    pub fn hash(&self, entry_point: Address, chain_id: u64) -> B256 {
        let empty = keccak256([]);
        let packed = (
            self.sender,
            self.nonce,
            empty,
            keccak256(&self.call_data),
            self.account_gas_limits(),
            U256::from(self.pre_verification_gas),
            self.gas_fees(),
            empty,
        )
            .abi_encode();
        keccak256((keccak256(packed), entry_point, U256::from(chain_id)).abi_encode())
    }

    /// The operation as the contracts take it, with the consent's terms as its signature.
    #[must_use]
    pub fn packed(&self, terms: &ConsentTerms, occurrence: Occurrence) -> PackedUserOperation {
        PackedUserOperation {
            sender: self.sender,
            nonce: self.nonce,
            initCode: Bytes::new(),
            callData: self.call_data.clone(),
            accountGasLimits: self.account_gas_limits(),
            preVerificationGas: U256::from(self.pre_verification_gas),
            gasFees: self.gas_fees(),
            paymasterAndData: Bytes::new(),
            signature: terms.encode(occurrence),
        }
    }

    /// The gas that this operation may spend in all.
    #[must_use]
    pub fn gas(&self) -> u64 {
        self.verification_gas.saturating_add(self.call_gas).saturating_add(self.pre_verification_gas)
    }

    fn account_gas_limits(&self) -> B256 {
        pair(u128::from(self.verification_gas), u128::from(self.call_gas))
    }

    fn gas_fees(&self) -> B256 {
        pair(self.max_priority_fee, self.max_fee)
    }
}

impl Task {
    /// The task's operation as the contracts take it.
    #[must_use]
    pub fn packed(&self) -> PackedUserOperation {
        self.op.packed(&self.terms, self.occurrence)
    }
}

impl ConsentTerms {
    /// `abi.encodePacked(sessionKey, sessionNonce, validAfter, validUntil)`, with 48-bit times: 64 bytes.
    #[must_use]
    pub fn encode(&self, occurrence: Occurrence) -> Bytes {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(self.session_key.as_slice());
        bytes.extend_from_slice(&occurrence.number().to_be_bytes::<32>());
        bytes.extend_from_slice(&self.valid_after.to_be_bytes()[2..]);
        bytes.extend_from_slice(&self.valid_until.to_be_bytes()[2..]);
        bytes.into()
    }
}

/// The EntryPoint nonce of an occurrence's operation: the account finds the validator module in the key's upper bits.
#[must_use]
pub fn nonce_key(module: Address, occurrence: Occurrence) -> U256 {
    (U256::from_be_slice(module.as_slice()) << 32) | U256::from(occurrence.lane())
}

fn pair(high: u128, low: u128) -> B256 {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&high.to_be_bytes());
    bytes[16..].copy_from_slice(&low.to_be_bytes());
    bytes.into()
}
