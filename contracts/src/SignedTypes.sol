// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IAttestationCenter} from "./interfaces/IAttestationCenter.sol";
import {Proposal, UserOpConsent, UserOpRejection} from "./Protocol.sol";
import {
    PROPOSAL_TYPEHASH,
    USEROP_CONSENT_TYPEHASH,
    USEROP_REJECTION_TYPEHASH,
    VERDICT_BATCH_TYPEHASH
} from "./TypeHashes.sol";

/// @title EIP-712 digests of the protocol's signed types.
/// @notice The plain way, from the types themselves; submit computes the same from raw operations (VerdictVector).
abstract contract SignedTypes is IAttestationCenter, EIP712 {
    constructor() EIP712("Ditto", "1") {}

    /// @inheritdoc IAttestationCenter
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IAttestationCenter
    function proposalDigest(Proposal calldata proposal) public view returns (bytes32) {
        // Every member is a static value type, so the struct's ABI encoding is its encodeData.
        return _hashTypedDataV4(keccak256(abi.encode(PROPOSAL_TYPEHASH, proposal)));
    }

    /// @inheritdoc IAttestationCenter
    function consentHash(UserOpConsent calldata consent) public pure returns (bytes32) {
        return keccak256(abi.encode(USEROP_CONSENT_TYPEHASH, consent));
    }

    /// @inheritdoc IAttestationCenter
    function consentDigest(UserOpConsent calldata consent) external view returns (bytes32) {
        return _hashTypedDataV4(consentHash(consent));
    }

    /// @inheritdoc IAttestationCenter
    function rejectionDigest(UserOpRejection calldata rejection) external view returns (bytes32) {
        return _hashTypedDataV4(_rejectionHash(rejection));
    }

    /// @inheritdoc IAttestationCenter
    function verdictDigest(bytes32 proposal, UserOpConsent[] calldata approved, UserOpRejection[] calldata rejected)
        external
        view
        returns (bytes32)
    {
        bytes32[] memory approvals = new bytes32[](approved.length);
        for (uint256 i = 0; i < approved.length; ++i) {
            approvals[i] = consentHash(approved[i]);
        }
        bytes32[] memory rejections = new bytes32[](rejected.length);
        for (uint256 i = 0; i < rejected.length; ++i) {
            rejections[i] = _rejectionHash(rejected[i]);
        }
        return _verdictDigest(proposal, keccak256(abi.encodePacked(approvals)), keccak256(abi.encodePacked(rejections)));
    }

    /// @param approved keccak256 of the consents' hashStructs
    /// @param rejected keccak256 of the rejections' hashStructs
    function _verdictDigest(bytes32 proposal, bytes32 approved, bytes32 rejected) internal view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(VERDICT_BATCH_TYPEHASH, proposal, approved, rejected)));
    }

    function _rejectionHash(UserOpRejection calldata rejection) private pure returns (bytes32) {
        return keccak256(abi.encode(USEROP_REJECTION_TYPEHASH, rejection));
    }
}
