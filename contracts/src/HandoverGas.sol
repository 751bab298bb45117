// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title How much gas a handover takes beyond what its operations may use themselves.
/// @notice One place for the numbers, so that what the AttestationCenter demands is what the hook can keep. All in gas.
/// @dev The demand covers one pass. When one handleOps with all reverts late, the second pass may find too little gas left for some of
///      the operations: these are left undone (OperationFailed with NotEnoughGas) and can be submitted again; none is run with less than its limits.
library HandoverGas {
    /// Withdrawing approvals, storing what is done, events.
    uint256 private constant RESERVE_BASE = 60_000;
    /// Per operation: withdrawing its approval, an event with a reason of 256 bytes.
    uint256 private constant RESERVE_PER_OPERATION = 8_000;
    /// handleOps around one operation: guard, deposit, nonce, events, paying a beneficiary that did not exist.
    uint256 private constant ALONE = 120_000;
    /// The EntryPoint's work per operation outside the operation's own limits, and the copy of its calldata.
    uint256 private constant PER_OPERATION = 40_000;
    uint256 private constant BASE = 150_000;

    /// @notice Gas to set aside before an attempt when `count` operations are still to be accounted for.
    function reserve(uint256 count) internal pure returns (uint256) {
        return RESERVE_BASE + count * RESERVE_PER_OPERATION;
    }

    /// @notice Bound of a handleOps with one operation whose own limits sum to `limits`.
    function alone(uint256 limits) internal pure returns (uint256) {
        return limits + ALONE;
    }

    /// @notice What must be left so that a call can be given `bound`: EIP-150 keeps back one 64th.
    function withForwarding(uint256 bound) internal pure returns (uint256) {
        return bound + bound / 63 + 1;
    }

    /// @notice What must be left in the AttestationCenter before the handover of `count` operations whose limits
    ///         (verification, call, preVerification, paymaster's) sum to `limits`.
    /// @dev Two calls lie between here and the EntryPoint's first, and two more keep back a 64th below it: 4/63 on top.
    function required(uint256 count, uint256 limits) internal pure returns (uint256) {
        uint256 sum = limits + BASE + count * PER_OPERATION;
        return sum + (sum * 4) / 63;
    }
}
