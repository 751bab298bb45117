// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEntryPoint, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IDittoValidatorModule} from "../interfaces/IDittoValidatorModule.sol";

/// @title Runs one operation as if it were certified, for simulations only.
/// @notice Placed by eth_call's state override at the DittoHook's address, so that the module takes it for the hook.
/// @dev No storage, no immutables: the deployed bytecode works at any address.
contract DryRun {
    /// @param consent hashStruct(UserOpConsent) of the operation
    /// @return ok whether handleOps went through; the execution's own success is in UserOperationEvent
    /// @return gasUsed gas of handleOps
    /// @return reason the EntryPoint's revert data when not ok
    function dryRun(
        address entryPoint,
        address module,
        PackedUserOperation calldata op,
        bytes32 consent,
        address payable beneficiary
    ) external returns (bool ok, uint256 gasUsed, bytes memory reason) {
        bytes32[] memory consents = new bytes32[](1);
        consents[0] = consent;
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = op;
        IDittoValidatorModule(module).authorize(consents);

        uint256 before = gasleft();
        try IEntryPoint(entryPoint).handleOps(ops, beneficiary) {
            ok = true;
        } catch (bytes memory revertData) {
            reason = revertData;
        }
        gasUsed = before - gasleft();
        IDittoValidatorModule(module).clear(consents);
    }
}
