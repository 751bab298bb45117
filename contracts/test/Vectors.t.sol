// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Bls} from "../src/Bls.sol";
import {OperationReader} from "../src/OperationReader.sol";
import "../src/TypeHashes.sol";
import "./Network.sol";

/// What independent implementations computed (vectors/generate.cjs: noble for BLS, ethers for EIP-712).
contract VectorsTest is Network {
    address constant CENTER = address(0xce27e);

    string bls;
    string eip712;

    function setUp() public {
        bls = vm.readFile("test/vectors/bls.json");
        eip712 = vm.readFile("test/vectors/eip712.json");
        deployNetwork(1);
        vm.chainId(31337);
        vm.etch(CENTER, address(center).code);
        center = IAttestationCenter(CENTER);
    }

    function item(string memory list, uint256 i, string memory key) internal pure returns (string memory) {
        return string.concat(".", list, "[", vm.toString(i), "]", key);
    }

    function secret(uint256 i) internal view returns (uint256) {
        return uint256(vm.parseJsonBytes32(bls, item("keys", i, ".secretKey")));
    }

    // ---------------------------------------------------------------- BLS

    function test_domains() public view {
        eq(keccak256(Bls.DST_VOTE), keccak256(bytes(vm.parseJsonString(bls, ".dst.vote"))), "vote");
        eq(keccak256(Bls.DST_POSSESSION), keccak256(bytes(vm.parseJsonString(bls, ".dst.possession"))), "possession");
    }

    function test_hash_to_curve() public view {
        for (uint256 i = 0; vm.keyExistsJson(bls, item("hashes", i, "")); ++i) {
            bool vote = keccak256(bytes(vm.parseJsonString(bls, item("hashes", i, ".dst")))) == keccak256("vote");
            bytes memory point = Signing.hash(
                vote ? Bls.DST_VOTE : Bls.DST_POSSESSION, vm.parseJsonBytes32(bls, item("hashes", i, ".message"))
            );
            eq(keccak256(point), keccak256(vm.parseJsonBytes(bls, item("hashes", i, ".point.eip2537"))), "point");
        }
    }

    function test_keys() public view {
        for (uint256 i = 0; vm.keyExistsJson(bls, item("keys", i, "")); ++i) {
            bytes memory want = vm.parseJsonBytes(bls, item("keys", i, ".publicKey.eip2537"));
            eq(keccak256(Signing.publicKey(secret(i))), keccak256(want), "key");
        }
    }

    function test_votes_and_aggregates() public view {
        for (uint256 i = 0; vm.keyExistsJson(bls, item("votes", i, "")); ++i) {
            bytes32 message = vm.parseJsonBytes32(bls, item("votes", i, ".message"));
            bytes memory signature = vm.parseJsonBytes(bls, item("votes", i, ".signature.eip2537"));
            bytes32[4] memory ours = Signing.vote(secret(vm.parseJsonUint(bls, item("votes", i, ".key"))), message);
            eq(keccak256(abi.encode(ours)), keccak256(signature), "vote");
        }
        for (uint256 i = 0; vm.keyExistsJson(bls, item("aggregates", i, "")); ++i) {
            uint256 sum;
            for (uint256 m = 0; vm.keyExistsJson(bls, item("aggregates", i, item("members", m, ""))); ++m) {
                sum = addmod(
                    sum, secret(vm.parseJsonUint(bls, item("aggregates", i, item("members", m, "")))), Signing.R
                );
            }
            bytes32 message = vm.parseJsonBytes32(bls, item("aggregates", i, ".message"));
            eq(
                keccak256(Signing.publicKey(sum)),
                keccak256(vm.parseJsonBytes(bls, item("aggregates", i, ".publicKey.eip2537"))),
                "aggregate key"
            );
            eq(
                keccak256(abi.encode(Signing.vote(sum, message))),
                keccak256(vm.parseJsonBytes(bls, item("aggregates", i, ".signature.eip2537"))),
                "aggregate signature"
            );
        }
    }

    /// noble's keys and proofs of possession register; noble's aggregate passes verify.
    function test_operators_of_the_vectors() public {
        address fixedAt = vm.parseJsonAddress(bls, item("possessions", 0, ".obls"));
        vm.etch(fixedAt, address(obls).code);
        obls = IOBLS(fixedAt);
        vm.prank(address(0));
        obls.setPowerSource(address(this)); // owner is 0 in the empty storage
        for (uint256 i = 4; i < 8; ++i) {
            bytes memory key = vm.parseJsonBytes(bls, item("keys", i, ".publicKey.eip2537"));
            bytes memory possession = vm.parseJsonBytes(bls, item("possessions", i, ".signature.eip2537"));
            address controller = vm.parseJsonAddress(bls, item("possessions", i, ".controller"));
            eq(
                obls.possessionMessage(controller, key),
                vm.parseJsonBytes32(bls, item("possessions", i, ".message")),
                "possession message"
            );
            vm.prank(controller);
            obls.register(key, abi.decode(possession, (bytes32[4])), address(uint160(100 + i)));
            setPower(controller, 1);
        }
        obls.commitSet();
        for (uint256 i = 0; i < 4; ++i) {
            bytes memory signature = vm.parseJsonBytes(bls, item("aggregates", i, ".signature.eip2537"));
            (uint256 signed,) = obls.verify(
                1,
                vm.parseJsonBytes32(bls, item("aggregates", i, ".message")),
                abi.encodePacked(uint8((2 << i) - 1)),
                abi.decode(signature, (bytes32[4]))
            );
            eq(signed, i + 1, "signed power");
        }
    }

    // ---------------------------------------------------------------- EIP-712

    function test_domain_and_typehashes() public view {
        eq(center.domainSeparator(), vm.parseJsonBytes32(eip712, ".domainSeparator"), "domain");
        eq(PROPOSAL_TYPEHASH, vm.parseJsonBytes32(eip712, ".typehashes.Proposal"), "Proposal");
        eq(USEROP_CONSENT_TYPEHASH, vm.parseJsonBytes32(eip712, ".typehashes.UserOpConsent"), "UserOpConsent");
        eq(USEROP_REJECTION_TYPEHASH, vm.parseJsonBytes32(eip712, ".typehashes.UserOpRejection"), "UserOpRejection");
        eq(VERDICT_BATCH_TYPEHASH, vm.parseJsonBytes32(eip712, ".typehashes.VerdictBatch"), "VerdictBatch");
    }

    function proposal(uint256 i) internal view returns (Proposal memory p) {
        string memory v = eip712;
        p.slot = uint64(vm.parseJsonUint(v, item("proposals", i, ".value.slot")));
        p.setId = uint32(vm.parseJsonUint(v, item("proposals", i, ".value.setId")));
        p.taskDefinitionId = uint16(vm.parseJsonUint(v, item("proposals", i, ".value.taskDefinitionId")));
        p.performer = vm.parseJsonAddress(v, item("proposals", i, ".value.performer"));
        p.aggregator = vm.parseJsonAddress(v, item("proposals", i, ".value.aggregator"));
        p.pins = vm.parseJsonBytes32(v, item("proposals", i, ".value.pins"));
        p.tasks = vm.parseJsonBytes32(v, item("proposals", i, ".value.tasks"));
        p.targetChainId = vm.parseJsonUint(v, item("proposals", i, ".value.targetChainId"));
    }

    function consent(string memory at_) internal view returns (UserOpConsent memory c) {
        string memory v = eip712;
        c.userOpHash = vm.parseJsonBytes32(v, string.concat(at_, ".userOpHash"));
        c.smartAccount = vm.parseJsonAddress(v, string.concat(at_, ".smartAccount"));
        c.sessionKey = vm.parseJsonAddress(v, string.concat(at_, ".sessionKey"));
        c.sessionNonce = vm.parseJsonUint(v, string.concat(at_, ".sessionNonce"));
        c.validAfter = uint48(vm.parseJsonUint(v, string.concat(at_, ".validAfter")));
        c.validUntil = uint48(vm.parseJsonUint(v, string.concat(at_, ".validUntil")));
        c.targetChainId = vm.parseJsonUint(v, string.concat(at_, ".targetChainId"));
    }

    function rejection(string memory at_) internal view returns (UserOpRejection memory r) {
        r.userOpHash = vm.parseJsonBytes32(eip712, string.concat(at_, ".userOpHash"));
        r.smartAccount = vm.parseJsonAddress(eip712, string.concat(at_, ".smartAccount"));
        r.reason = uint8(vm.parseJsonUint(eip712, string.concat(at_, ".reason")));
    }

    function test_digests() public view {
        uint256 i;
        for (i = 0; vm.keyExistsJson(eip712, item("proposals", i, "")); ++i) {
            eq(
                center.proposalDigest(proposal(i)),
                vm.parseJsonBytes32(eip712, item("proposals", i, ".digest")),
                "proposal"
            );
        }
        eq(i, 2, "proposals");
        for (i = 0; vm.keyExistsJson(eip712, item("consents", i, "")); ++i) {
            UserOpConsent memory c = consent(item("consents", i, ".value"));
            eq(center.consentHash(c), vm.parseJsonBytes32(eip712, item("consents", i, ".structHash")), "consent");
            eq(center.consentDigest(c), vm.parseJsonBytes32(eip712, item("consents", i, ".digest")), "consent");
        }
        eq(i, 3, "consents");
        for (i = 0; vm.keyExistsJson(eip712, item("rejections", i, "")); ++i) {
            UserOpRejection memory r = rejection(item("rejections", i, ".value"));
            eq(center.rejectionDigest(r), vm.parseJsonBytes32(eip712, item("rejections", i, ".digest")), "rejection");
        }
        eq(i, 2, "rejections");
        for (i = 0; vm.keyExistsJson(eip712, item("verdicts", i, "")); ++i) {
            checkVerdict(item("verdicts", i, ""));
        }
        eq(i, 4, "verdicts");
    }

    function checkVerdict(string memory at_) internal view {
        UserOpConsent[] memory approved = new UserOpConsent[](3);
        uint256 a;
        for (; vm.keyExistsJson(eip712, string.concat(at_, ".value", item("approved", a, ""))); ++a) {
            approved[a] = consent(string.concat(at_, ".value", item("approved", a, "")));
        }
        UserOpRejection[] memory rejected = new UserOpRejection[](2);
        uint256 r;
        for (; vm.keyExistsJson(eip712, string.concat(at_, ".value", item("rejected", r, ""))); ++r) {
            rejected[r] = rejection(string.concat(at_, ".value", item("rejected", r, "")));
        }
        assembly {
            mstore(approved, a)
            mstore(rejected, r)
        }
        bytes32 digest = vm.parseJsonBytes32(eip712, string.concat(at_, ".value.proposal"));
        eq(
            center.verdictDigest(digest, approved, rejected),
            vm.parseJsonBytes32(eip712, string.concat(at_, ".digest")),
            "verdict"
        );
    }

    function test_performer_signature() public view {
        uint256 key = uint256(vm.parseJsonBytes32(eip712, ".performerSignature.secretKey"));
        bytes32 digest = vm.parseJsonBytes32(eip712, ".performerSignature.digest");
        bytes memory want = vm.parseJsonBytes(eip712, ".performerSignature.signature");
        eq(keccak256(ecdsa(key, digest)), keccak256(want), "RFC 6979 signature, r s v");
    }

    /// The assembly of OperationReader against ethers, and against the EntryPoint.
    function test_operation() public {
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        string memory v = eip712;
        ops[0] = PackedUserOperation(
            vm.parseJsonAddress(v, ".userOperation.operation.sender"),
            vm.parseJsonUint(v, ".userOperation.operation.nonce"),
            vm.parseJsonBytes(v, ".userOperation.operation.initCode"),
            vm.parseJsonBytes(v, ".userOperation.operation.callData"),
            vm.parseJsonBytes32(v, ".userOperation.operation.accountGasLimits"),
            vm.parseJsonUint(v, ".userOperation.operation.preVerificationGas"),
            vm.parseJsonBytes32(v, ".userOperation.operation.gasFees"),
            vm.parseJsonBytes(v, ".userOperation.operation.paymasterAndData"),
            vm.parseJsonBytes(v, ".userOperation.operation.signature")
        );
        OperationReader.Operation memory operation = this.read(ops);
        eq(operation.userOpHash, vm.parseJsonBytes32(v, ".userOperation.userOpHash"), "userOpHash");
        eq(operation.consent, vm.parseJsonBytes32(v, ".userOperation.consent"), "consent");
        eq(operation.gasLimit, 380_000, "gas limits");
        // with every dynamic field filled, against the EntryPoint
        ops[0].initCode = bytes("0123456789012345678901234567890123456789");
        ops[0].paymasterAndData = abi.encodePacked(address(1), uint128(7), uint128(11), "data");
        operation = this.read(ops);
        eq(operation.userOpHash, hashOf(ops[0]), "userOpHash");
        eq(operation.consent, center.consentHash(consentOf(ops[0])), "consent");
        eq(operation.gasLimit, 380_018, "gas limits with a paymaster");
    }

    function read(PackedUserOperation[] calldata ops)
        external
        view
        returns (OperationReader.Operation memory operation)
    {
        uint256 start;
        assembly {
            start := add(ops.offset, 0x20)
        }
        uint256 end = OperationReader.read(operation, start, ENTRY_POINT);
        eq(end, msg.data.length, "end");
    }
}
