// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IAttestationCenter} from "./interfaces/IAttestationCenter.sol";
import {IDittoHook} from "./interfaces/IDittoHook.sol";
import {OperationReader} from "./OperationReader.sol";
import {USEROP_REJECTION_TYPEHASH} from "./TypeHashes.sol";
import {Batch, Refused, VERDICT_APPROVED, VERDICT_ABSTAINED} from "./Protocol.sol";

/// @title What a submitted batch amounts to: hashes of its tasks and verdicts, recomputed from the operations.
library VerdictVector {
    using OperationReader for OperationReader.Operation;

    /// @notice Tasks of one batch: one bit each in one word.
    uint256 internal constant MAX_TASKS = 256;

    /// @param batchHash keccak256 of (userOpHash ‖ proofOfTask) of every task
    /// @param approvedHash EIP-712 hash of the consents, in order
    /// @param rejectedHash EIP-712 hash of the rejections, in order
    /// @param approved bit i: task i is approved
    /// @param rejected bit i: task i is rejected
    /// @param operations per approved operation: where it lies in calldata; one more for the end
    /// @param consents per approved operation: hashStruct of its consent
    /// @param gasLimits per approved operation: all its limits
    struct Vector {
        bytes32 batchHash;
        bytes32 approvedHash;
        bytes32 rejectedHash;
        uint256 approved;
        uint256 rejected;
        uint256[] operations;
        bytes32[] consents;
        uint256[] gasLimits;
    }

    /// @notice Reads a batch. Reverts when its parts do not fit each other, or when an operation is not encoded canonically.
    function read(Batch calldata batch, address entryPoint) internal view returns (Vector memory vector) {
        uint256 tasks = batch.proofs.length;
        require(tasks != 0 && tasks <= MAX_TASKS, IAttestationCenter.TaskCount(tasks));
        require(batch.verdicts.length == tasks, IAttestationCenter.VerdictCount(batch.verdicts.length, tasks));
        _readVerdicts(vector, batch.verdicts);

        bytes32[] memory hashes = _readOperations(vector, batch.approved, entryPoint);
        (bytes32[] memory pairs, bytes32[] memory rejections, uint256 rejected) = _pair(batch, hashes);
        bytes32[] memory consents = vector.consents;
        bytes32 batchHash;
        bytes32 approvedHash;
        bytes32 rejectedHash;
        assembly ("memory-safe") {
            batchHash := keccak256(add(pairs, 0x20), shl(5, mload(pairs)))
            approvedHash := keccak256(add(consents, 0x20), shl(5, mload(consents)))
            rejectedHash := keccak256(add(rejections, 0x20), shl(5, rejected))
        }
        (vector.batchHash, vector.approvedHash, vector.rejectedHash) = (batchHash, approvedHash, rejectedHash);
        require(vector.approved | vector.rejected != 0, IAttestationCenter.NothingDecided());
    }

    function _readVerdicts(Vector memory vector, bytes calldata verdicts) private pure {
        uint256 approved;
        uint256 rejected;
        assembly ("memory-safe") {
            for { let i := 0 } lt(i, verdicts.length) { i := add(i, 1) } {
                switch byte(0, calldataload(add(verdicts.offset, i)))
                case 0 { approved := or(approved, shl(i, 1)) }
                case 255 {}
                default { rejected := or(rejected, shl(i, 1)) }
            }
        }
        (vector.approved, vector.rejected) = (approved, rejected);
    }

    /// Hashes of the approved operations; fills in where they lie, their consents and limits.
    function _readOperations(Vector memory vector, PackedUserOperation[] calldata approved, address entryPoint)
        private
        view
        returns (bytes32[] memory hashes)
    {
        uint256 count = approved.length;
        hashes = new bytes32[](count);
        bytes32[] memory consents = new bytes32[](count);
        uint256[] memory gasLimits = new uint256[](count);
        uint256[] memory operations = new uint256[](count + 1);
        (vector.consents, vector.gasLimits, vector.operations) = (consents, gasLimits, operations);
        uint256 base;
        assembly ("memory-safe") {
            base := approved.offset
        }
        uint256 start = base + 32 * count;
        OperationReader.Operation memory operation;
        // Every array here has an entry per operation: indexes need no checks, and cost 24 times.
        for (uint256 i = 0; i < count;) {
            uint256 offset;
            assembly ("memory-safe") {
                offset := calldataload(add(base, shl(5, i)))
            }
            uint256 end = offset == start - base ? operation.read(start, entryPoint) : 0;
            require(end != 0, IAttestationCenter.MalformedOperation(i));
            require(
                operation.signatureLength == OperationReader.SESSION_DATA,
                IAttestationCenter.SessionDataLength(i, operation.signatureLength)
            );
            assembly ("memory-safe") {
                i := add(i, 1)
                let place := shl(5, i)
                mstore(add(hashes, place), mload(operation))
                mstore(add(consents, place), mload(add(operation, 0x20)))
                mstore(add(gasLimits, place), mload(add(operation, 0x40)))
                mstore(add(operations, place), start)
            }
            start = end;
        }
        operations[count] = start;
    }

    /// The batch's (userOpHash, proof) pairs, and the hashStructs of its rejections, of which the first `rejected` count.
    function _pair(Batch calldata batch, bytes32[] memory hashes)
        private
        pure
        returns (bytes32[] memory pairs, bytes32[] memory rejections, uint256 rejected)
    {
        bytes calldata verdicts = batch.verdicts;
        bytes32[] calldata proofs = batch.proofs;
        Refused[] calldata refused = batch.refused;
        uint256 count = proofs.length;
        pairs = new bytes32[](2 * count);
        rejections = new bytes32[](refused.length);
        uint256 approvedSeen;
        uint256 refusedSeen;
        for (uint256 i = 0; i < count;) {
            uint256 verdict;
            bytes32 userOpHash;
            assembly ("memory-safe") {
                verdict := byte(0, calldataload(add(verdicts.offset, i)))
            }
            if (verdict == VERDICT_APPROVED) {
                require(approvedSeen < hashes.length, IAttestationCenter.ApprovedCount(hashes.length, approvedSeen + 1));
                assembly ("memory-safe") {
                    approvedSeen := add(approvedSeen, 1)
                    userOpHash := mload(add(hashes, shl(5, approvedSeen)))
                }
            } else {
                require(refusedSeen < refused.length, IAttestationCenter.RefusedCount(refused.length, refusedSeen + 1));
                Refused calldata task = refused[refusedSeen++];
                userOpHash = task.userOpHash;
                if (verdict != VERDICT_ABSTAINED) {
                    rejections[rejected++] =
                        keccak256(abi.encode(USEROP_REJECTION_TYPEHASH, userOpHash, task.smartAccount, verdict));
                }
            }
            assembly ("memory-safe") {
                let to := add(add(pairs, 0x20), shl(6, i))
                mstore(to, userOpHash)
                mstore(add(to, 0x20), calldataload(add(proofs.offset, shl(5, i))))
                i := add(i, 1)
            }
        }
        require(approvedSeen == hashes.length, IAttestationCenter.ApprovedCount(hashes.length, approvedSeen));
        require(refusedSeen == refused.length, IAttestationCenter.RefusedCount(refused.length, refusedSeen));
    }

    /// @notice Calldata of DittoHook.handover for the approved tasks in `chosen`.
    /// @dev The operations are copied slice by slice, so the array comes out canonical; the consents follow right behind, as the hook expects.
    function handoverCall(Vector memory vector, uint256 chosen, address beneficiary)
        internal
        pure
        returns (bytes memory data, uint256 count, uint256 limits)
    {
        uint256 approved = vector.approved;
        uint256[] memory operations = vector.operations;
        uint256[] memory gasLimits = vector.gasLimits;
        bytes32[] memory consents = vector.consents;
        bytes4 selector = IDittoHook.handover.selector;
        assembly ("memory-safe") {
            for { let left := chosen } left { left := and(left, sub(left, 1)) } { count := add(count, 1) }

            data := mload(0x40)
            let args := add(data, 0x24)
            mstore(add(data, 0x20), selector)
            mstore(args, 0x60)
            mstore(add(args, 0x40), beneficiary)
            mstore(add(args, 0x60), count)
            let offsets := add(args, 0x80)
            let base := offsets
            let to := add(offsets, shl(5, count))
            let place := 0x20 // in the three arrays
            for { let bit := 1 } lt(sub(bit, 1), approved) { bit := shl(1, bit) } {
                if and(approved, bit) {
                    if and(chosen, bit) {
                        let from := mload(add(operations, place))
                        let size := sub(mload(add(operations, add(place, 0x20))), from)
                        mstore(offsets, sub(to, base))
                        offsets := add(offsets, 0x20)
                        calldatacopy(to, from, size)
                        to := add(to, size)
                        limits := add(limits, mload(add(gasLimits, place)))
                    }
                    place := add(place, 0x20)
                }
            }
            mstore(add(args, 0x20), sub(to, args))
            mstore(to, count)
            to := add(to, 0x20)
            place := 0x20
            for { let bit := 1 } lt(sub(bit, 1), approved) { bit := shl(1, bit) } {
                if and(approved, bit) {
                    if and(chosen, bit) {
                        mstore(to, mload(add(consents, place)))
                        to := add(to, 0x20)
                    }
                    place := add(place, 0x20)
                }
            }
            mstore(data, sub(to, add(data, 0x20)))
            mstore(0x40, and(add(to, 0x1f), not(0x1f)))
        }
    }

    /// @notice Spreads the low bits of `dense` over the set bits of `mask`, lowest first.
    function spread(uint256 dense, uint256 mask) internal pure returns (uint256 sparse) {
        while (mask != 0) {
            uint256 lowest = mask & (~mask + 1);
            if (dense & 1 != 0) sparse |= lowest;
            dense >>= 1;
            mask ^= lowest;
        }
    }
}
