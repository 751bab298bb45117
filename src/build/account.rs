//! What an ERC-7579 account is called with.

use alloy::primitives::{B256, Bytes, U256, b256};
use alloy::sol;
use alloy::sol_types::{SolCall, SolValue};
use ditto_sandbox::Call;

sol! {
    #[derive(Debug)]
    struct Execution {
        address target;
        uint256 value;
        bytes callData;
    }

    function execute(bytes32 mode, bytes executionCalldata) external payable;
}

/// ERC-7579 mode: one call, revert on failure.
const SINGLE: B256 = B256::ZERO;
/// ERC-7579 mode: a batch of calls, revert on failure.
const BATCH: B256 = b256!("0100000000000000000000000000000000000000000000000000000000000000");

/// `execute` of one call, or of several in order; all of them or none take effect.
#[must_use]
pub fn execute(calls: &[Call]) -> Bytes {
    let (mode, calldata) = match calls {
        [call] => {
            let mut packed = Vec::with_capacity(52 + call.data.len());
            packed.extend_from_slice(&call.to);
            packed.extend_from_slice(&call.value);
            packed.extend_from_slice(&call.data);
            (SINGLE, packed)
        }
        calls => {
            let executions: Vec<Execution> = calls
                .iter()
                .map(|call| Execution {
                    target: call.to.into(),
                    value: U256::from_be_bytes(call.value),
                    callData: call.data.clone().into(),
                })
                .collect();
            (BATCH, executions.abi_encode())
        }
    };
    executeCall { mode, executionCalldata: calldata.into() }.abi_encode().into()
}
