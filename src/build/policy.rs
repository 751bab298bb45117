//! Session policies: what an account lets a workflow do.
//!
//! A policy is published once, in the registry; the account's session names its hash. It lists the calls that are allowed
//! (target and selector, with a cap on value) and caps the operation's value, gas and fee. What is not listed is denied.
//! Calls to the account itself, the EntryPoint or the validator module are denied whatever the policy says: they could
//! change who may act for the account.

use alloy::primitives::{Address, FixedBytes, U256};
use alloy::sol;
use alloy::sol_types::SolValue;
use ditto_sandbox::Call;

sol! {
    /// One allowed call.
    #[derive(Debug, PartialEq, Eq)]
    struct Rule {
        address target;
        bytes4 selector;
        uint256 maxValue;
    }

    /// What a session may do.
    #[derive(Debug, PartialEq, Eq)]
    struct Policy {
        Rule[] rules;
        uint256 maxValuePerOp;
        uint128 maxCallGas;
        uint128 maxFeePerGas;
    }
}

/// How an operation breaks its policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// The published bytes are no policy.
    #[error("the published policy is not abi.encode(Policy)")]
    Unreadable,
    /// No rule allows the call.
    #[error("call {index}: no rule allows {selector} on {target}")]
    NotAllowed {
        /// Which call.
        index: usize,
        /// Its target.
        target: Address,
        /// Its selector; zero for a plain transfer.
        selector: FixedBytes<4>,
    },
    /// The target is the account itself, the EntryPoint or the validator module.
    #[error("call {index}: {target} decides who may act for the account, so it is never called")]
    Privileged {
        /// Which call.
        index: usize,
        /// Its target.
        target: Address,
    },
    /// More value than the rule allows.
    #[error("call {index}: sends {value} wei, the rule allows {cap}")]
    Value {
        /// Which call.
        index: usize,
        /// What it sends.
        value: U256,
        /// What it may.
        cap: U256,
    },
    /// More value in all than the policy allows.
    #[error("the operation sends {value} wei, the policy allows {cap}")]
    Total {
        /// What it sends.
        value: U256,
        /// What it may.
        cap: U256,
    },
    /// More gas than the policy allows.
    #[error("the operation needs {gas} gas, the policy allows {cap}")]
    Gas {
        /// What it needs.
        gas: u64,
        /// What it may.
        cap: u128,
    },
}

/// Reads a published policy.
///
/// # Errors
/// When the bytes are none.
pub fn read(bytes: &[u8]) -> Result<Policy, Breach> {
    Policy::abi_decode(bytes).map_err(|_| Breach::Unreadable)
}

impl Policy {
    /// Checks calls against the rules; `privileged` are the addresses that are never called.
    ///
    /// # Errors
    /// The first breach.
    pub fn check(&self, calls: &[Call], privileged: &[Address]) -> Result<(), Breach> {
        let mut total = U256::ZERO;
        for (index, call) in calls.iter().enumerate() {
            let (target, value) = (Address::from(call.to), U256::from_be_bytes(call.value));
            if privileged.contains(&target) {
                return Err(Breach::Privileged { index, target });
            }
            // Data of one to three bytes reaches a fallback as surely as none does, but it is no plain transfer.
            let selector = match call.data.len() {
                0 => FixedBytes::ZERO,
                4.. => FixedBytes::from_slice(&call.data[..4]),
                _ => return Err(Breach::NotAllowed { index, target, selector: FixedBytes::ZERO }),
            };
            let rule = self.rules.iter().find(|rule| rule.target == target && rule.selector == selector);
            let Some(rule) = rule else { return Err(Breach::NotAllowed { index, target, selector }) };
            if value > rule.maxValue {
                return Err(Breach::Value { index, value, cap: rule.maxValue });
            }
            total = total.saturating_add(value);
        }
        if total > self.maxValuePerOp {
            return Err(Breach::Total { value: total, cap: self.maxValuePerOp });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: Address = Address::repeat_byte(1);
    const ACCOUNT: Address = Address::repeat_byte(2);

    fn policy() -> Policy {
        let rule = |selector, cap: u64| Rule { target: TOKEN, selector, maxValue: U256::from(cap) };
        Policy {
            rules: vec![rule(FixedBytes([1, 2, 3, 4]), 0), rule(FixedBytes::ZERO, 10)],
            maxValuePerOp: U256::from(15),
            maxCallGas: 100_000,
            maxFeePerGas: 1,
        }
    }

    fn call(to: Address, value: u64, data: &[u8]) -> Call {
        Call { to: to.into(), value: U256::from(value).to_be_bytes(), data: data.to_vec() }
    }

    #[test]
    fn what_is_listed_passes_and_nothing_else() {
        let check = |calls: &[Call]| policy().check(calls, &[ACCOUNT]);
        assert_eq!(check(&[call(TOKEN, 0, &[1, 2, 3, 4, 9]), call(TOKEN, 10, &[])]), Ok(()));
        assert!(matches!(check(&[call(TOKEN, 0, &[1, 2, 3, 5])]), Err(Breach::NotAllowed { .. })));
        assert!(matches!(check(&[call(TOKEN, 0, &[1, 2])]), Err(Breach::NotAllowed { .. })), "no hiding in short data");
        assert!(matches!(check(&[call(TOKEN, 1, &[1, 2, 3, 4])]), Err(Breach::Value { .. })));
        assert!(matches!(check(&[call(TOKEN, 8, &[]), call(TOKEN, 8, &[])]), Err(Breach::Total { .. })));
    }

    #[test]
    fn no_policy_can_open_the_account_itself() {
        let mut open = policy();
        open.rules.push(Rule { target: ACCOUNT, selector: FixedBytes([1, 2, 3, 4]), maxValue: U256::MAX });
        let calls = [call(ACCOUNT, 0, &[1, 2, 3, 4])];
        assert!(matches!(open.check(&calls, &[ACCOUNT]), Err(Breach::Privileged { .. })));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _policy = read(&bytes);
        }
    }
}
