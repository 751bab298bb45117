// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {USEROP_CONSENT_TYPEHASH} from "./TypeHashes.sol";

/// @title Reads PackedUserOperations where they lie in calldata, and demands that they lie there canonically.
/// @notice Canonical means: one after the other, in order, no gaps, and the four dynamic fields of each right behind its nine
///         words, in order, no gaps. Every ABI encoder in use writes it so. Then an operation is one slice of calldata, what is hashed is
///         what is forwarded, and forwarding is a copy instead of a decoding and encoding (2,000 to 3,000 gas saved per operation and hop).
/// @dev Layout of an operation (ERC-4337 v0.7), offsets relative to its start:
///
///         0x00 sender              0x20 nonce               0x40 offset of initCode
///         0x60 offset of callData  0x80 accountGasLimits    0xa0 preVerificationGas
///         0xc0 gasFees             0xe0 offset of paymasterAndData
///         0x100 offset of signature                         0x120 initCode (length, bytes), ...
///
///      accountGasLimits = verificationGasLimit (16 bytes) ‖ callGasLimit (16)
///      paymasterAndData = paymaster (20 bytes) ‖ paymasterVerificationGasLimit (16) ‖ paymasterPostOpGasLimit (16) ‖ data
library OperationReader {
    /// @notice Bytes of userOp.signature: sessionKey (20) ‖ sessionNonce (32) ‖ validAfter (6) ‖ validUntil (6).
    uint256 internal constant SESSION_DATA = 64;

    /// @notice What the verdict digest and the handover need of an operation.
    /// @dev Filled by read, which is called once per operation with the same struct.
    struct Operation {
        bytes32 userOpHash;
        bytes32 consent;
        uint256 gasLimit;
        uint256 signatureLength;
    }

    /// @notice Reads the operation at calldata offset `start`.
    /// @param entryPoint whose userOpHash it is (v0.7: keccak256(abi.encode(hash of the packed fields, entryPoint, chainid)))
    /// @return end calldata offset behind it; 0 when it is not canonical
    function read(Operation memory operation, uint256 start, address entryPoint) internal view returns (uint256 end) {
        bytes32 consentTypehash = USEROP_CONSENT_TYPEHASH;
        assembly ("memory-safe") {
            // The dynamic field whose offset word is at `word` must start at `from`. Returns the offset behind it, and hashes it
            // into `into`, using the memory from `scratch` on.
            function field(tuple, word, from, scratch, into) -> behind {
                if eq(calldataload(add(tuple, word)), from) {
                    let length := calldataload(add(tuple, from))
                    behind := add(from, 0x20)
                    switch length
                    case 0 {
                        // keccak256 of nothing
                        mstore(into, 0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470)
                    }
                    default {
                        // A length that fits calldata cannot overflow what follows.
                        if iszero(lt(length, calldatasize())) {
                            behind := 0
                            leave
                        }
                        calldatacopy(scratch, add(tuple, behind), length)
                        mstore(into, keccak256(scratch, length))
                        behind := add(behind, and(add(length, 0x1f), not(0x1f)))
                    }
                }
            }

            let buffer := mload(0x40)
            let scratch := add(buffer, 0x100)
            let sender := calldataload(start)
            let behind := field(start, 0x40, 0x120, scratch, add(buffer, 0x40))
            let paymaster := 0
            if behind { behind := field(start, 0x60, behind, scratch, add(buffer, 0x60)) }
            if behind {
                paymaster := behind
                behind := field(start, 0xe0, behind, scratch, add(buffer, 0xe0))
            }
            // The signature is not part of the hash; its place is checked like the others'.
            let signature := behind
            let signatureLength := 0
            if behind {
                signatureLength := calldataload(add(start, signature))
                behind := mul(
                    and(eq(calldataload(add(start, 0x100)), signature), lt(signatureLength, calldatasize())),
                    add(add(signature, 0x20), and(add(signatureLength, 0x1f), not(0x1f)))
                )
            }
            if and(
                and(gt(behind, 0), iszero(shr(160, sender))),
                and(iszero(gt(add(start, behind), calldatasize())), iszero(shr(120, calldataload(add(start, 0xa0)))))
            ) {
                end := add(start, behind)

                // userOpHash
                mstore(buffer, sender)
                mstore(add(buffer, 0x20), calldataload(add(start, 0x20)))
                calldatacopy(add(buffer, 0x80), add(start, 0x80), 0x60)
                mstore(scratch, keccak256(buffer, 0x100))
                mstore(add(scratch, 0x20), entryPoint)
                mstore(add(scratch, 0x40), chainid())
                let userOpHash := keccak256(scratch, 0x60)
                mstore(operation, userOpHash)

                // hashStruct(UserOpConsent)
                let session := add(add(start, signature), 0x20)
                let window := calldataload(add(session, 0x20))
                mstore(buffer, consentTypehash)
                mstore(add(buffer, 0x20), userOpHash)
                mstore(add(buffer, 0x40), sender)
                mstore(add(buffer, 0x60), shr(96, calldataload(session)))
                mstore(add(buffer, 0x80), calldataload(add(session, 20)))
                mstore(add(buffer, 0xa0), and(shr(48, window), 0xffffffffffff))
                mstore(add(buffer, 0xc0), and(window, 0xffffffffffff))
                mstore(add(buffer, 0xe0), chainid())
                mstore(add(operation, 0x20), keccak256(buffer, 0x100))

                mstore(add(operation, 0x60), signatureLength)
            }
        }
        if (end != 0) operation.gasLimit = executionGas(start) + preVerificationGas(start);
    }

    /// @notice Gas the EntryPoint may give to the account and the paymaster of the operation at `start`: the sum of its four limits.
    function executionGas(uint256 start) internal pure returns (uint256 limits) {
        assembly ("memory-safe") {
            let both := calldataload(add(start, 0x80))
            limits := add(shr(128, both), and(both, 0xffffffffffffffffffffffffffffffff))
            let paymaster := add(start, calldataload(add(start, 0xe0)))
            if gt(calldataload(paymaster), 51) {
                both := calldataload(add(paymaster, 0x34)) // behind the length and the paymaster's address
                limits := add(limits, add(shr(128, both), and(both, 0xffffffffffffffffffffffffffffffff)))
            }
        }
    }

    function preVerificationGas(uint256 start) internal pure returns (uint256 gas_) {
        assembly ("memory-safe") {
            gas_ := calldataload(add(start, 0xa0))
        }
    }
}
