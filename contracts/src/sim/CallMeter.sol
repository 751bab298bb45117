// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Measures one call of an account, for simulations only.
/// @notice Placed by eth_call's state override at the EntryPoint's address, so that the account takes it for the EntryPoint.
/// @dev No storage, no immutables: the deployed bytecode works at any address.
contract CallMeter {
    /// @param account smart account that is called
    /// @param callData what the EntryPoint would call it with
    /// @param gasCap gas given to the call
    /// @return ok whether the call succeeded
    /// @return gasUsed gas the call took, its 2,600 for a cold account included
    /// @return returned what it returned, or its revert data
    function meter(address account, bytes calldata callData, uint256 gasCap)
        external
        returns (bool ok, uint256 gasUsed, bytes memory returned)
    {
        uint256 before = gasleft();
        (ok, returned) = account.call{gas: gasCap}(callData);
        gasUsed = before - gasleft();
    }
}
