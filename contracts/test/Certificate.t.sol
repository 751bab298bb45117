// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import "./Network.sol";

/// Attacks on what is certified: every part of a submission is tampered with, and every kind of stranger tries.
contract CertificateTest is Network {
    function setUp() public {
        deployNetwork(4);
        addAccounts(6);
    }

    function good() internal view returns (Submission memory) {
        return submissionOf(recordOperations(3), approvals(3), firstOf(3));
    }

    // ---------------------------------------------------------------- whose certificate

    function test_certificate_of_another_set() public {
        Submission memory s = good();
        setPower(operators[3].controller, 0);
        obls.commitSet(); // set 2 has operators 0..2
        s.proposal.setId = 2;
        s.performerSignature = ecdsa(operators[0].signerKey, center.proposalDigest(s.proposal));
        s.certificate.signers = hex"07";
        submitReverts(s, IOBLS.SignatureInvalid.selector);
        // and set 2's votes do not pass for set 1
        seal(s, firstOf(3));
        s.proposal.setId = 1;
        s.performerSignature = ecdsa(operators[0].signerKey, center.proposalDigest(s.proposal));
        submitReverts(s, IOBLS.SignatureInvalid.selector);
    }

    function test_unknown_set() public {
        Submission memory s = good();
        s.proposal.setId = 9;
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.SetNotAccepted.selector, 9));
        s.proposal.setId = 0;
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.SetNotAccepted.selector, 0));
    }

    function test_certificate_for_another_chain() public {
        Submission memory s = good();
        s.proposal.targetChainId = 1;
        seal(s, firstOf(3));
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.WrongChain.selector, 1, block.chainid));
        // the same certificate on a fork with another chain id
        s = good();
        vm.chainId(999);
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.WrongChain.selector, 31337, 999));
        s.proposal.targetChainId = 999;
        submitReverts(s, IAttestationCenter.PerformerSignatureInvalid.selector);
        s.performerSignature = ecdsa(operators[0].signerKey, center.proposalDigest(s.proposal));
        submitReverts(s, IAttestationCenter.BatchMismatch.selector); // operation hashes hold the chain id too
    }

    function test_certificate_for_another_contract() public {
        Submission memory s = good();
        // same operators, same hook, but signed for another AttestationCenter
        address other = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        vm.etch(other, address(center).code);
        IAttestationCenter real = center;
        center = IAttestationCenter(other);
        seal(s, firstOf(3));
        bytes memory performer = s.performerSignature;
        center = real;
        submitReverts(s, IAttestationCenter.PerformerSignatureInvalid.selector);
        bytes32[4] memory votes = s.certificate.signature;
        seal(s, firstOf(3));
        check(keccak256(performer) != keccak256(s.performerSignature), "domains differ");
        s.certificate.signature = votes;
        submitReverts(s, IOBLS.SignatureInvalid.selector);
    }

    function test_another_performer() public {
        // certified for operator 0's proposal, claimed by operator 1
        Submission memory s = good();
        s.proposal.performer = operators[1].signer;
        s.performerSignature = ecdsa(operators[1].signerKey, center.proposalDigest(s.proposal));
        submitReverts(s, IOBLS.SignatureInvalid.selector);
    }

    function test_performer_who_is_no_member() public {
        Submission memory s = good();
        s.proposal.performer = vm.addr(77);
        seal(s, firstOf(3));
        s.performerSignature = ecdsa(77, center.proposalDigest(s.proposal));
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.PerformerNotMember.selector, vm.addr(77), 1));
    }

    function test_performer_signature() public {
        Submission memory s = good();
        bytes memory signature = s.performerSignature;
        s.performerSignature = ecdsa(operators[1].signerKey, center.proposalDigest(s.proposal));
        submitReverts(s, IAttestationCenter.PerformerSignatureInvalid.selector);
        s.performerSignature = "";
        submitReverts(s, IAttestationCenter.PerformerSignatureInvalid.selector);
        // the other s of the same signature (EIP-2) is refused
        (uint256 r, uint256 low, uint8 v) = (get(signature, 0), get(signature, 32), uint8(signature[64]));
        uint256 n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        s.performerSignature = abi.encodePacked(r, n - low, v == 27 ? uint8(28) : uint8(27));
        submitReverts(s, IAttestationCenter.PerformerSignatureInvalid.selector);
        // a performer that is address 0 cannot be "recovered" from garbage
        s.proposal.performer = address(0);
        s.performerSignature = new bytes(65);
        submitReverts(s, IAttestationCenter.PerformerSignatureInvalid.selector);
    }

    // ---------------------------------------------------------------- flipped bits

    function test_flipped_bit_in_signature() public {
        Submission memory s = good();
        for (uint256 i = 0; i < 4; ++i) {
            s.certificate.signature[i] ^= bytes32(uint256(1));
            submitReverts(s, IOBLS.SignatureInvalid.selector);
            s.certificate.signature[i] ^= bytes32(uint256(1));
        }
        submit(s);
    }

    /// Every field of an operation, one bit at a time: the batch is another one then.
    function test_flipped_bit_in_operation() public {
        for (uint256 field = 0; field < 9; ++field) {
            Submission memory s = good();
            PackedUserOperation memory op = s.batch.approved[1];
            if (field == 0) op.sender = address(uint160(op.sender) ^ 1);
            if (field == 1) op.nonce ^= 1;
            if (field == 2) op.initCode = hex"00";
            if (field == 3) op.callData[40] ^= 0x01;
            if (field == 4) op.accountGasLimits ^= bytes32(uint256(1));
            if (field == 5) op.preVerificationGas ^= 1;
            if (field == 6) op.gasFees ^= bytes32(uint256(1));
            if (field == 7) op.paymasterAndData = new bytes(52);
            if (field < 8) {
                submitReverts(s, IAttestationCenter.BatchMismatch.selector);
            } else {
                // the session data is not in the operation's hash, but in the consent's
                for (uint256 i = 0; i < 64; ++i) {
                    op.signature[i] ^= 0x80;
                    submitReverts(s, IOBLS.SignatureInvalid.selector);
                    op.signature[i] ^= 0x80;
                }
                submit(s);
            }
        }
    }

    function test_flipped_bit_in_proof() public {
        Submission memory s = good();
        s.batch.proofs[2] ^= bytes32(uint256(1));
        submitReverts(s, IAttestationCenter.BatchMismatch.selector);
    }

    function test_flipped_verdict() public {
        Submission memory s = submissionOf(recordOperations(3), hex"000500", firstOf(3));
        s.batch.verdicts = hex"000600";
        submitReverts(s, IOBLS.SignatureInvalid.selector);
        s.batch.verdicts = hex"00ff00";
        submitReverts(s, IOBLS.SignatureInvalid.selector);
        s.batch.refused[0].smartAccount = address(1);
        s.batch.verdicts = hex"000500";
        submitReverts(s, IOBLS.SignatureInvalid.selector);
    }

    function test_rejected_task_handed_over_as_approved() public {
        Submission memory s = submissionOf(recordOperations(3), hex"000500", firstOf(3));
        s.batch.approved = recordOperations(3);
        s.batch.refused = new Refused[](0);
        s.batch.verdicts = hex"000000";
        submitReverts(s, IOBLS.SignatureInvalid.selector);
    }

    function test_every_field_of_the_proposal() public {
        for (uint256 field = 0; field < 8; ++field) {
            Submission memory s = good();
            Proposal memory p = s.proposal;
            if (field == 0) p.slot ^= 1;
            if (field == 1) p.setId ^= 1;
            if (field == 2) p.taskDefinitionId ^= 1;
            if (field == 3) p.performer = operators[1].signer;
            if (field == 4) p.aggregator = address(this);
            if (field == 5) p.pins ^= bytes32(uint256(1));
            if (field == 6) p.tasks ^= bytes32(uint256(1));
            if (field == 7) p.targetChainId ^= 1;
            vm.prank(field == 4 ? address(this) : AGGREGATOR);
            vm.expectRevert();
            center.submit(p, s.performerSignature, s.batch, s.certificate);
            // not even when the performer goes along: the votes name the proposal
            s.performerSignature = ecdsa(operators[field == 3 ? 1 : 0].signerKey, center.proposalDigest(p));
            vm.prank(field == 4 ? address(this) : AGGREGATOR);
            vm.expectRevert();
            center.submit(p, s.performerSignature, s.batch, s.certificate);
        }
    }

    // ---------------------------------------------------------------- bitmap

    function test_bit_of_a_missing_signer() public {
        Submission memory s = good();
        s.certificate.signers = hex"0f";
        submitReverts(s, IOBLS.SignatureInvalid.selector);
    }

    function test_bits_beyond_the_set() public {
        Submission memory s = good();
        s.certificate.signers = hex"17";
        submitReverts(s, abi.encodeWithSelector(IOBLS.SignerOutOfSet.selector, 4));
        s.certificate.signers = hex"0700";
        submitReverts(s, abi.encodeWithSelector(IOBLS.BitmapLength.selector, 2, 1));
        s.certificate.signers = "";
        submitReverts(s, abi.encodeWithSelector(IOBLS.BitmapLength.selector, 0, 1));
        s.certificate.signers = hex"00";
        submitReverts(s, IOBLS.NoSigners.selector);
    }

    function test_infinity_as_signature() public {
        Submission memory s = good();
        s.certificate.signature = [bytes32(0), 0, 0, 0];
        submitReverts(s, IOBLS.SignatureAtInfinity.selector);
    }

    // ---------------------------------------------------------------- batches

    function test_tampered_batch_hashes() public {
        Submission memory s = good();
        bytes32[] memory hashes = s.batch.batchHashes;
        s.batch.batchHashes = new bytes32[](2);
        (s.batch.batchHashes[0], s.batch.batchHashes[1]) = (hashes[0], keccak256("more"));
        submitReverts(s, IAttestationCenter.TasksMismatch.selector);
        s.batch.batchHashes = new bytes32[](0);
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.WrongBatchIndex.selector, 0, 0));
        s.batch.batchHashes = hashes;
        s.batch.index = 1;
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.WrongBatchIndex.selector, 1, 1));
    }

    /// Two batches of one proposal, settled one by one, in any order; swapping their indexes fails.
    function test_two_batches_of_one_proposal() public {
        PackedUserOperation[] memory all = recordOperations(5);
        PackedUserOperation[][2] memory parts = [new PackedUserOperation[](2), new PackedUserOperation[](3)];
        for (uint256 i = 0; i < 5; ++i) {
            if (i < 2) parts[0][i] = all[i];
            else parts[1][i - 2] = all[i];
        }
        bytes32[] memory hashes = new bytes32[](2);
        Submission[2] memory s;
        for (uint256 b = 0; b < 2; ++b) {
            s[b].batch = batchOf(parts[b], approvals(parts[b].length));
            hashes[b] = batchHash(parts[b], s[b].batch.proofs);
        }
        for (uint256 left = 2; left > 0; --left) {
            uint256 b = left - 1;
            s[b].batch.batchHashes = hashes;
            s[b].batch.index = uint16(b);
            s[b].proposal = proposalOf(keccak256(abi.encodePacked(hashes)));
            seal(s[b], firstOf(3));
            s[b].batch.index = uint16(1 - b);
            submitReverts(s[b], IAttestationCenter.BatchMismatch.selector);
            s[b].batch.index = uint16(b);
            submit(s[b]);
        }
        eq(counter.total(), 5, "both executed");
    }

    function test_parts_that_do_not_fit() public {
        Submission memory s = submissionOf(recordOperations(3), hex"000500", firstOf(3));
        Batch memory b = s.batch;
        b.verdicts = hex"0005";
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.VerdictCount.selector, 2, 3));
        b.verdicts = hex"000000";
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.ApprovedCount.selector, 2, 3));
        b.verdicts = hex"000505";
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.RefusedCount.selector, 1, 2));
        b.verdicts = hex"000500";
        Refused[] memory two = new Refused[](2);
        two[0] = b.refused[0];
        b.refused = two;
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.RefusedCount.selector, 2, 1));
        b.proofs = new bytes32[](0);
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.TaskCount.selector, 0));
        b.proofs = new bytes32[](257);
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.TaskCount.selector, 257));
    }

    function test_session_data_of_another_length() public {
        Submission memory s = good();
        s.batch.approved[1].signature = abi.encodePacked(s.batch.approved[1].signature, hex"00");
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.SessionDataLength.selector, 1, 65));
    }

    /// An encoding whose decoding is the same but whose bytes are not canonical: what is forwarded must be what was hashed.
    function test_operations_that_are_not_canonical() public {
        Submission memory s = good();
        bytes memory data =
            abi.encodeCall(IAttestationCenter.submit, (s.proposal, s.performerSignature, s.batch, s.certificate));
        uint256 word = findWord(data, bytes32(uint256(uint160(accounts[1])))); // start of operation 1
        uint256[4] memory offsets = [word + 0x40, word + 0x60, word + 0xe0, word + 0x100];
        for (uint256 i = 0; i < 4; ++i) {
            uint256 offset = get(data, offsets[i]);
            put(data, offsets[i], offset + 32);
            refused(data, IAttestationCenter.MalformedOperation.selector);
            put(data, offsets[i], type(uint256).max - 31);
            refused(data, IAttestationCenter.MalformedOperation.selector);
            put(data, offsets[i], offset);
        }
        // the array's own offsets: operation 1 said to lie where operation 2 lies
        uint256 array = findWord(data, bytes32(uint256(uint160(accounts[0])))) - 3 * 32;
        uint256 second = get(data, array + 32);
        put(data, array + 32, get(data, array + 64));
        refused(data, IAttestationCenter.MalformedOperation.selector);
        put(data, array + 32, second);
        uint256 sender = get(data, word);
        put(data, word, sender | (1 << 200));
        refused(data, IAttestationCenter.MalformedOperation.selector);
        put(data, word, sender);
        vm.prank(AGGREGATOR);
        (bool ok,) = address(center).call(data);
        check(ok, "untouched, it goes through");
    }

    /// A length that reaches beyond the calldata.
    function test_operation_that_is_cut_off() public {
        Submission memory s = good();
        bytes memory data =
            abi.encodeCall(IAttestationCenter.submit, (s.proposal, s.performerSignature, s.batch, s.certificate));
        uint256 word = findWord(data, bytes32(uint256(uint160(accounts[2]))));
        uint256 length = word + get(data, word + 0x60);
        put(data, length, 1 << 255);
        refused(data, IAttestationCenter.MalformedOperation.selector);
        put(data, length, data.length);
        refused(data, IAttestationCenter.MalformedOperation.selector);
    }

    function refused(bytes memory data, bytes4 reason) internal {
        vm.prank(AGGREGATOR);
        (bool ok, bytes memory returned) = address(center).call(data);
        check(!ok, "went through");
        eq(bytes4(returned), reason, "reverted for another reason");
    }

    function findWord(bytes memory data, bytes32 word) internal pure returns (uint256) {
        for (uint256 i = 4; i + 32 <= data.length; i += 32) {
            if (bytes32(get(data, i)) == word) return i;
        }
        revert("word not found");
    }

    function get(bytes memory data, uint256 offset) internal pure returns (uint256 word) {
        assembly {
            word := mload(add(add(data, 0x20), offset))
        }
    }

    function put(bytes memory data, uint256 offset, uint256 word) internal pure {
        assembly {
            mstore(add(add(data, 0x20), offset), word)
        }
    }
}
