// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEntryPoint, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IDittoHook} from "./interfaces/IDittoHook.sol";
import {IDittoValidatorModule} from "./interfaces/IDittoValidatorModule.sol";
import {OperationReader} from "./OperationReader.sol";
import {HandoverGas} from "./HandoverGas.sol";

/// @title Hands approved operations from the AttestationCenter to the EntryPoint (v0.7).
/// @notice One handleOps carries them all. The EntryPoint reverts the lot when a single operation fails validation; then each is tried alone,
///         so that a bad one costs its neighbours nothing but gas. A failed handover consumes nothing: no nonce, no occurrence.
/// @dev Gas: every attempt gets a bound, and what comes after it is set aside before, so nothing an operation does
///      can keep this function from withdrawing the approvals and telling the AttestationCenter what went through.
///      Reentrance: the AttestationCenter and the EntryPoint are both non-reentrant, and nobody else can call handover, so while operations
///      run no second handleOps can use their approvals.
contract DittoHook is IDittoHook {
    /// @notice Most bytes of revert data in OperationFailed.
    uint256 public constant MAX_REASON = 256;

    /// @inheritdoc IDittoHook
    address public immutable attestationCenter;
    /// @inheritdoc IDittoHook
    address public immutable entryPoint;
    /// @inheritdoc IDittoHook
    address public immutable module;

    /// @param attestationCenter_ may be an address that is deployed later; its constructor checks the wiring
    constructor(address entryPoint_, address attestationCenter_, address module_) {
        entryPoint = entryPoint_;
        attestationCenter = attestationCenter_;
        module = module_;
    }

    /// @inheritdoc IDittoHook
    /// @dev The operations must be canonical (OperationReader) and followed by the consents, as the AttestationCenter writes them.
    function handover(PackedUserOperation[] calldata operations, bytes32[] calldata consents, address beneficiary)
        external
        returns (uint256 done)
    {
        require(msg.sender == attestationCenter, OnlyAttestationCenter(msg.sender));
        uint256 count = operations.length;
        require(count == consents.length && count <= 256, ConsentCount(consents.length, count));
        if (count == 0) return 0;
        uint256 start;
        uint256 end;
        assembly ("memory-safe") {
            start := operations.offset
            end := sub(consents.offset, 0x20)
        }
        require(start + 32 * count <= end, MalformedHandover());

        IDittoValidatorModule(module).authorize(consents);
        if (_handleAll(start, end, count, beneficiary)) {
            done = type(uint256).max >> (256 - count);
        } else {
            for (uint256 i = 0; i < count; ++i) {
                if (_handleOne(start, end, i, count, beneficiary, consents[i])) done |= 1 << i;
            }
        }
        IDittoValidatorModule(module).clear(consents);
    }

    /// One handleOps with all operations. Their array is copied as it lies in calldata.
    function _handleAll(uint256 start, uint256 end, uint256 count, address beneficiary) private returns (bool ok) {
        bytes4 selector = IEntryPoint.handleOps.selector;
        address target = entryPoint;
        uint256 reserve = HandoverGas.reserve(count);
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, selector)
            mstore(add(buffer, 0x04), 0x40)
            mstore(add(buffer, 0x24), beneficiary)
            mstore(add(buffer, 0x44), count)
            calldatacopy(add(buffer, 0x64), start, sub(end, start))
            let left := gas()
            if gt(left, reserve) {
                ok := call(sub(left, reserve), target, 0, buffer, add(0x64, sub(end, start)), 0, 0)
            }
        }
    }

    /// One handleOps with one operation, bounded by what that operation may use.
    function _handleOne(uint256 start, uint256 end, uint256 i, uint256 count, address beneficiary, bytes32 consent)
        private
        returns (bool ok)
    {
        uint256 from;
        uint256 to = end;
        assembly ("memory-safe") {
            from := add(start, calldataload(add(start, shl(5, i))))
            if lt(add(i, 1), count) { to := add(start, calldataload(add(start, shl(5, add(i, 1))))) }
        }
        require(from < to && to <= end, MalformedHandover());

        uint256 bound = HandoverGas.alone(OperationReader.executionGas(from));
        uint256 needed = HandoverGas.withForwarding(bound) + HandoverGas.reserve(count - i);
        uint256 available = gasleft();
        if (available < needed) {
            emit OperationFailed(consent, abi.encodeWithSelector(NotEnoughGas.selector, available, needed));
            return false;
        }

        bytes4 selector = IEntryPoint.handleOps.selector;
        address target = entryPoint;
        bytes memory reason;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, selector)
            mstore(add(buffer, 0x04), 0x40)
            mstore(add(buffer, 0x24), beneficiary)
            mstore(add(buffer, 0x44), 1)
            mstore(add(buffer, 0x64), 0x20)
            calldatacopy(add(buffer, 0x84), from, sub(to, from))
            ok := call(bound, target, 0, buffer, add(0x84, sub(to, from)), 0, 0)
            if iszero(ok) {
                let size := returndatasize()
                if gt(size, MAX_REASON) { size := MAX_REASON }
                reason := buffer
                mstore(reason, size)
                returndatacopy(add(reason, 0x20), 0, size)
                mstore(0x40, add(reason, and(add(size, 0x3f), not(0x1f))))
            }
        }
        if (!ok) emit OperationFailed(consent, reason);
    }
}
