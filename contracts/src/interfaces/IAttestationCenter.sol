// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Proposal, UserOpConsent, UserOpRejection, Batch, Certificate, TaskDefinition} from "../Protocol.sol";

/// @title Accepts certified batches on a target chain.
interface IAttestationCenter {
    event BatchCertified(
        bytes32 indexed proposal, uint16 index, uint64 indexed slot, uint32 setId, bytes signers, uint256 handedOver
    );
    event TaskRejected(bytes32 indexed proposal, bytes32 indexed userOpHash, uint8 reason);
    event TaskDefinitionSet(uint16 indexed id, TaskDefinition definition);

    error WrongChain(uint256 targetChainId, uint256 chainId);
    error SetNotAccepted(uint32 setId);
    error TaskDefinitionInactive(uint16 id);
    error TaskDefinitionInvalid();
    error TooManyAttesters(uint256 maxAttesters, uint256 limit);
    error MinimumPowerUnderCap(uint256 minimumPower);
    error SlotOutOfWindow(uint64 slot, uint256 notBefore, uint256 notAfter);
    error PerformerNotMember(address performer, uint32 setId);
    error PerformerSignatureInvalid(address recovered, address performer);
    error NotAggregator(address caller, address aggregator, uint256 deadline);
    error WrongBatchIndex(uint16 index, uint256 batches);
    error TasksMismatch(bytes32 expected, bytes32 computed);
    error BatchMismatch(bytes32 expected, bytes32 computed);
    error TaskCount(uint256 tasks);
    error VerdictCount(uint256 verdicts, uint256 proofs);
    error ApprovedCount(uint256 approved, uint256 verdicts);
    error RefusedCount(uint256 refused, uint256 verdicts);
    error MalformedOperation(uint256 index);
    error SessionDataLength(uint256 index, uint256 length);
    error NothingDecided();
    error QuorumNotReached(uint256 signedPower, uint256 totalPower);
    error AlreadyDone(bytes32 proposal, uint16 index);
    error InsufficientGas(uint256 available, uint256 required);
    error WrongWiring(address hook);
    error SlotClockZero();

    /// @notice Executes a certified batch: verifies the certificate, hands approved operations over, counts rejections.
    /// @dev The caller is the beneficiary of the operations' fees.
    function submit(
        Proposal calldata proposal,
        bytes calldata performerSignature,
        Batch calldata batch,
        Certificate calldata certificate
    ) external;

    /// @notice Sets a quorum rule, which counts at once. Only the owner. Reverts when approval and rejection are not exclusive, when the
    ///         cap is above what can be drawn, and when signed power is asked for under a cap.
    function setTaskDefinition(uint16 id, TaskDefinition calldata definition) external;

    function taskDefinition(uint16 id) external view returns (TaskDefinition memory);

    /// @notice Which tasks of a batch are settled: bit i is task i.
    function done(bytes32 proposal, uint16 index) external view returns (uint256);

    /// @notice EIP-712 digest of a proposal, what the performer signs.
    function proposalDigest(Proposal calldata proposal) external view returns (bytes32);

    /// @notice EIP-712 digest of a verdict vector, what a vote signs.
    function verdictDigest(bytes32 proposal, UserOpConsent[] calldata approved, UserOpRejection[] calldata rejected)
        external
        view
        returns (bytes32);

    /// @notice hashStruct of a consent: what the DittoValidatorModule is authorized with.
    function consentHash(UserOpConsent calldata consent) external pure returns (bytes32);

    /// @notice EIP-712 digest of a consent.
    function consentDigest(UserOpConsent calldata consent) external view returns (bytes32);

    /// @notice EIP-712 digest of a rejection.
    function rejectionDigest(UserOpRejection calldata rejection) external view returns (bytes32);

    /// @notice Gas that must be left when submit hands these operations over.
    function requiredGas(PackedUserOperation[] calldata operations) external pure returns (uint256);

    /// @notice Unix second at which a slot starts.
    function slotStart(uint64 slot) external view returns (uint256);

    function domainSeparator() external view returns (bytes32);
    function obls() external view returns (address);
    function hook() external view returns (address);
    function entryPoint() external view returns (address);

    /// @notice Unix second of slot 0.
    function genesis() external view returns (uint64);
    function slotSeconds() external view returns (uint32);

    /// @notice Seconds after the slot's start from which any member may submit.
    function aggregatorDeadline() external view returns (uint32);
}
