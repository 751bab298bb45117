// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";

/// @title Hands approved operations from the AttestationCenter to the EntryPoint.
interface IDittoHook {
    /// @notice An operation's handover failed; nothing of it was consumed. `consent` is hashStruct(UserOpConsent),
    ///         `reason` the EntryPoint's revert data, cut to 256 bytes.
    event OperationFailed(bytes32 indexed consent, bytes reason);

    error OnlyAttestationCenter(address caller);
    error ConsentCount(uint256 consents, uint256 operations);
    error MalformedHandover();
    /// @notice Reason in OperationFailed: not enough gas was left to try the operation alone.
    error NotEnoughGas(uint256 available, uint256 required);

    /// @notice Executes operations: all in one handleOps, and one by one when that reverts.
    /// @param consents hashStruct(UserOpConsent) per operation
    /// @param beneficiary receives the operations' fees
    /// @return done bit i set when operation i went through the EntryPoint (its execution may have failed)
    function handover(PackedUserOperation[] calldata operations, bytes32[] calldata consents, address beneficiary)
        external
        returns (uint256 done);

    function attestationCenter() external view returns (address);
    function entryPoint() external view returns (address);
    function module() external view returns (address);
}
