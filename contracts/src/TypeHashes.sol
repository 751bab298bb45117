// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// EIP-712 type hashes. Referenced types follow the primary one in alphabetical order (EIP-712, encodeType).

bytes32 constant PROPOSAL_TYPEHASH = keccak256(
    "Proposal(uint64 slot,uint32 setId,uint16 taskDefinitionId,address performer,address aggregator,bytes32 pins,bytes32 tasks,uint256 targetChainId)"
);
bytes32 constant USEROP_CONSENT_TYPEHASH = keccak256(
    "UserOpConsent(bytes32 userOpHash,address smartAccount,address sessionKey,uint256 sessionNonce,uint48 validAfter,uint48 validUntil,uint256 targetChainId)"
);
bytes32 constant USEROP_REJECTION_TYPEHASH =
    keccak256("UserOpRejection(bytes32 userOpHash,address smartAccount,uint8 reason)");
bytes32 constant VERDICT_BATCH_TYPEHASH = keccak256(
    "VerdictBatch(bytes32 proposal,UserOpConsent[] approved,UserOpRejection[] rejected)UserOpConsent(bytes32 userOpHash,address smartAccount,address sessionKey,uint256 sessionNonce,uint48 validAfter,uint48 validUntil,uint256 targetChainId)UserOpRejection(bytes32 userOpHash,address smartAccount,uint8 reason)"
);
