// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";

/// The signed types of the protocol and what is submitted with them.
/// Signed types are EIP-712 structs in the domain (name "Ditto", version "1", chainId, verifyingContract = AttestationCenter).

/// @notice What a slot's performer signs, once per slot and target chain.
/// @param slot number of the slot the proposal serves
/// @param setId operator set it is made under (see OBLS)
/// @param taskDefinitionId whose quorum rule applies
/// @param performer delegated signer of the performer; a member of the set
/// @param aggregator who alone may submit until the aggregator's deadline
/// @param pins hash of the block pins of the slot; opaque on chain
/// @param tasks keccak256(batchHash_0 ‖ .. ‖ batchHash_{k-1}),
///        batchHash = keccak256 of (userOpHash ‖ proofOfTask) of every task of the batch, in batch order
/// @param targetChainId chain that executes
struct Proposal {
    uint64 slot;
    uint32 setId;
    uint16 taskDefinitionId;
    address performer;
    address aggregator;
    bytes32 pins;
    bytes32 tasks;
    uint256 targetChainId;
}

/// @notice Consent to one operation. `sessionNonce` is the occurrence: (uint256(workflowId) << 64) | slot of the occurrence.
struct UserOpConsent {
    bytes32 userOpHash;
    address smartAccount;
    address sessionKey;
    uint256 sessionNonce;
    uint48 validAfter;
    uint48 validUntil;
    uint256 targetChainId;
}

/// @notice Refusal of one operation. `reason` is 1..254.
struct UserOpRejection {
    bytes32 userOpHash;
    address smartAccount;
    uint8 reason;
}

/// @notice A task of the batch that is not handed over: rejected, or abstained from (then `smartAccount` is not read).
struct Refused {
    bytes32 userOpHash;
    address smartAccount;
}

/// @notice One batch of a proposal with the verdict vector that reached quorum.
/// @param batchHashes every batch hash of the proposal, in order
/// @param index which of them this batch is
/// @param approved the approved operations, in batch order, encoded canonically (no gaps, no shared tails)
/// @param refused every other task (rejected or abstained), in batch order
/// @param proofs proof of task of every task, in batch order; at most 256
/// @param verdicts one byte per task, in batch order: 0 approved, 255 abstained, else the rejection's reason
struct Batch {
    bytes32[] batchHashes;
    uint16 index;
    PackedUserOperation[] approved;
    Refused[] refused;
    bytes32[] proofs;
    bytes verdicts;
}

/// @notice An aggregated vote.
/// @param signers bitmap over the operator set: bit i is bit (i % 8) of byte (i / 8), least significant first
/// @param signature BLS12-381 G1 point, EIP-2537 encoding
struct Certificate {
    bytes signers;
    bytes32[4] signature;
}

/// @notice Quorum rule. Approved with strictly more than approveNumerator/approveDenominator of the total power,
///         rejected with at least rejectNumerator/rejectDenominator of it. Under a cap both are fractions of the seats.
/// @param minimumPower power that must have signed whatever the fractions say; 0 under a cap, which counts seats
/// @param maxAttesters the cap: when more members are eligible, so many seats are drawn for every slot; 0: no cap
/// @param minimumAttesterPower power, at the snapshot, below which a member does not count, neither as signer nor in the total
struct TaskDefinition {
    uint32 approveNumerator;
    uint32 approveDenominator;
    uint32 rejectNumerator;
    uint32 rejectDenominator;
    uint96 minimumPower;
    bool active;
    uint16 maxAttesters;
    uint96 minimumAttesterPower;
}

uint8 constant VERDICT_APPROVED = 0;
uint8 constant VERDICT_ABSTAINED = 255;
