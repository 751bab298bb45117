// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEntryPoint, IEntryPointNonces, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IAttestationCenter} from "../src/interfaces/IAttestationCenter.sol";
import {IOBLS} from "../src/interfaces/IOBLS.sol";
import {IDittoHook} from "../src/interfaces/IDittoHook.sol";
import {IDittoValidatorModule, Session} from "../src/interfaces/IDittoValidatorModule.sol";
import "../src/Protocol.sol";
import {Signing} from "./Signing.sol";
import "./Vm.sol";

interface IEntryPointDeposits {
    function depositTo(address account) external payable;
    function balanceOf(address account) external view returns (uint256);
    function getUserOpHash(PackedUserOperation calldata op) external view returns (bytes32);
}

interface IAccountFactory {
    function createAccount(address owner, address module, Session[] calldata sessions, bytes32 salt)
        external
        returns (address);
}

interface IExecute {
    function execute(bytes32 mode, bytes calldata executionCalldata) external payable;
}

interface ICounter {
    function record(uint256 occurrence) external;
    function count(address account, uint256 occurrence) external view returns (uint256);
    function total() external view returns (uint256);
}

/// A target chain with its contracts, operators and accounts; and the way operators make a certificate.
/// Contracts come from their artifacts, so tests compile against interfaces only.
abstract contract Network {
    address constant ENTRY_POINT = 0x0000000071727De22E5E9d8BAf0edAc6f37da032;
    address constant CREATE2_DEPLOYER = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
    uint64 constant GENESIS = 1_700_000_000;
    uint32 constant SLOT_SECONDS = 2;
    uint32 constant AGGREGATOR_DEADLINE = 6;
    uint64 constant GRACE = 600;
    uint16 constant TASK = 1;
    uint64 constant SLOT = 50;
    address constant SESSION_KEY = address(0x5e55);
    address payable constant AGGREGATOR = payable(address(0xa99e));

    struct Operator {
        uint256 secret; // BLS
        uint256 signerKey; // ECDSA
        address controller;
        address signer;
    }

    /// Everything submit takes.
    struct Submission {
        Proposal proposal;
        bytes performerSignature;
        Batch batch;
        Certificate certificate;
    }

    IOBLS obls;
    IAttestationCenter center;
    IDittoHook hook;
    IDittoValidatorModule module;
    IAccountFactory factory;
    ICounter counter;
    address mischief;
    Operator[] operators;
    address[] accounts;
    uint256 constant OWNER_KEY = 0x0123;

    /// Deploys everything with `size` operators of power 100 each and set 1 committed.
    function deployNetwork(uint256 size) internal {
        vm.warp(GENESIS + uint256(SLOT) * SLOT_SECONDS);
        vm.prevrandao(keccak256("randomness"));
        string memory file = vm.readFile("../abi/EntryPoint.json");
        (bool ok,) = CREATE2_DEPLOYER.call(
            abi.encodePacked(vm.parseJsonBytes32(file, ".create2.salt"), vm.parseJsonBytes(file, ".bytecode"))
        );
        check(ok && ENTRY_POINT.code.length != 0, "EntryPoint at its canonical address");

        obls = IOBLS(vm.deployCode("OBLS.sol:OBLS", abi.encode(address(this), GRACE)));
        obls.setPowerSource(address(this));
        uint64 nonce = vm.getNonce(address(this));
        address hookAt = vm.computeCreateAddress(address(this), nonce + 1);
        address centerAt = vm.computeCreateAddress(address(this), nonce + 2);
        module =
            IDittoValidatorModule(vm.deployCode("DittoValidatorModule.sol:DittoValidatorModule", abi.encode(hookAt)));
        hook = IDittoHook(vm.deployCode("DittoHook.sol:DittoHook", abi.encode(ENTRY_POINT, centerAt, module)));
        center = IAttestationCenter(
            vm.deployCode(
                "AttestationCenter.sol:AttestationCenter",
                abi.encode(address(this), obls, hook, ENTRY_POINT, GENESIS, SLOT_SECONDS, AGGREGATOR_DEADLINE)
            )
        );
        center.setTaskDefinition(TASK, TaskDefinition(2, 3, 1, 3, 1, true, 0, 0));
        factory = IAccountFactory(vm.deployCode("DittoAccountFactory.sol:DittoAccountFactory", abi.encode(ENTRY_POINT)));
        counter = ICounter(vm.deployCode("OccurrenceCounter.sol:OccurrenceCounter"));
        mischief = vm.deployCode("Mischief.sol:Mischief");
        for (uint256 i = 0; i < size; ++i) {
            addOperator(i, 100);
        }
        obls.commitSet();
    }

    function addOperator(uint256 i, uint96 power) internal {
        Operator memory operator = Operator(
            uint256(keccak256(abi.encode("bls", i))) % Signing.R,
            uint256(keccak256(abi.encode("signer", i))),
            address(uint160(0xc0000 + i)),
            address(0)
        );
        operator.signer = vm.addr(operator.signerKey);
        bytes memory key = Signing.publicKey(operator.secret);
        bytes32[4] memory possession =
            Signing.possession(operator.secret, obls.possessionMessage(operator.controller, key));
        vm.prank(operator.controller);
        obls.register(key, possession, operator.signer);
        operators.push(operator);
        setPower(operator.controller, power);
    }

    function setPower(address controller, uint96 power) internal {
        address[] memory controllers = new address[](1);
        uint96[] memory powers = new uint96[](1);
        (controllers[0], powers[0]) = (controller, power);
        obls.setVotingPower(controllers, powers);
    }

    function addAccounts(uint256 count) internal {
        Session[] memory sessions = new Session[](1);
        sessions[0] = Session(SESSION_KEY, 0, 0, keccak256("policy"));
        for (uint256 i = 0; i < count; ++i) {
            address account =
                factory.createAccount(vm.addr(OWNER_KEY), address(module), sessions, bytes32(accounts.length));
            vm.deal(address(this), 100 ether);
            IEntryPointDeposits(ENTRY_POINT).depositTo{value: 1 ether}(account);
            accounts.push(account);
        }
    }

    // ---------------------------------------------------------------- operations

    function occurrence(uint256 workflow) internal pure returns (uint256) {
        return (workflow << 64) | SLOT;
    }

    function sessionData(address key, uint256 nonce, uint48 validAfter, uint48 validUntil)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(key, nonce, validAfter, validUntil);
    }

    /// An operation of `account` for occurrence (workflow, SLOT) on a lane of its own.
    function operationTo(address account, uint256 workflow, address target, bytes memory data)
        internal
        view
        returns (PackedUserOperation memory op)
    {
        uint192 key = (uint192(uint160(address(module))) << 32) | uint32(workflow);
        op.sender = account;
        op.nonce = IEntryPointNonces(ENTRY_POINT).getNonce(account, key);
        op.callData = abi.encodeCall(IExecute.execute, (bytes32(0), abi.encodePacked(target, uint256(0), data)));
        op.accountGasLimits = bytes32((uint256(120_000) << 128) | 150_000);
        op.preVerificationGas = 50_000;
        op.gasFees = bytes32((uint256(1 gwei) << 128) | 1 gwei);
        op.signature =
            sessionData(SESSION_KEY, occurrence(workflow), uint48(block.timestamp - 60), uint48(block.timestamp + 60));
    }

    function recordOperation(uint256 i) internal view returns (PackedUserOperation memory) {
        return operationTo(accounts[i], i + 1, address(counter), abi.encodeCall(ICounter.record, (occurrence(i + 1))));
    }

    function recordOperations(uint256 count) internal view returns (PackedUserOperation[] memory ops) {
        ops = new PackedUserOperation[](count);
        for (uint256 i = 0; i < count; ++i) {
            ops[i] = recordOperation(i);
        }
    }

    function hashOf(PackedUserOperation memory op) internal view returns (bytes32) {
        return IEntryPointDeposits(ENTRY_POINT).getUserOpHash(op);
    }

    function consentOf(PackedUserOperation memory op) internal view returns (UserOpConsent memory consent) {
        bytes memory data = op.signature;
        bytes32 key;
        bytes32 nonce;
        bytes32 window;
        assembly {
            key := mload(add(data, 0x20))
            nonce := mload(add(data, 0x34))
            window := mload(add(data, 0x40))
        }
        return UserOpConsent(
            hashOf(op),
            op.sender,
            address(bytes20(key)),
            uint256(nonce),
            uint48(uint256(window) >> 48),
            uint48(uint256(window)),
            block.chainid
        );
    }

    // ---------------------------------------------------------------- certificates

    function approvals(uint256 count) internal pure returns (bytes memory) {
        return new bytes(count);
    }

    /// A submission of one batch, performed by operator 0, certified by the operators in `signers`.
    function submissionOf(PackedUserOperation[] memory ops, bytes memory verdicts, uint256[] memory signers)
        internal
        view
        returns (Submission memory s)
    {
        s.batch = batchOf(ops, verdicts);
        s.batch.batchHashes = new bytes32[](1);
        s.batch.batchHashes[0] = batchHash(ops, s.batch.proofs);
        s.proposal = proposalOf(keccak256(abi.encodePacked(s.batch.batchHashes)));
        seal(s, signers);
    }

    function proposalOf(bytes32 tasks) internal view returns (Proposal memory) {
        return Proposal(
            SLOT, obls.currentSetId(), TASK, operators[0].signer, AGGREGATOR, keccak256("pins"), tasks, block.chainid
        );
    }

    function batchOf(PackedUserOperation[] memory ops, bytes memory verdicts)
        internal
        view
        returns (Batch memory batch)
    {
        uint256 approved;
        for (uint256 i = 0; i < ops.length; ++i) {
            if (verdicts[i] == 0) ++approved;
        }
        batch.verdicts = verdicts;
        batch.proofs = new bytes32[](ops.length);
        batch.approved = new PackedUserOperation[](approved);
        batch.refused = new Refused[](ops.length - approved);
        (uint256 a, uint256 r) = (0, 0);
        for (uint256 i = 0; i < ops.length; ++i) {
            batch.proofs[i] = keccak256(abi.encode("proof", i));
            if (verdicts[i] == 0) batch.approved[a++] = ops[i];
            else batch.refused[r++] = Refused(hashOf(ops[i]), ops[i].sender);
        }
    }

    function batchHash(PackedUserOperation[] memory ops, bytes32[] memory proofs) internal view returns (bytes32) {
        bytes memory pairs;
        for (uint256 i = 0; i < ops.length; ++i) {
            pairs = abi.encodePacked(pairs, hashOf(ops[i]), proofs[i]);
        }
        return keccak256(pairs);
    }

    /// Signs the proposal as operator 0 and the verdicts as `signers`.
    function seal(Submission memory s, uint256[] memory signers) internal view {
        bytes32 digest = center.proposalDigest(s.proposal);
        s.performerSignature = ecdsa(operators[0].signerKey, digest);
        s.certificate = certify(verdictDigest(digest, s.batch), signers);
    }

    function verdictDigest(bytes32 proposal, Batch memory batch) internal view returns (bytes32) {
        UserOpConsent[] memory approved = new UserOpConsent[](batch.approved.length);
        for (uint256 i = 0; i < approved.length; ++i) {
            approved[i] = consentOf(batch.approved[i]);
        }
        uint256 count;
        for (uint256 i = 0; i < batch.verdicts.length; ++i) {
            if (batch.verdicts[i] != 0 && batch.verdicts[i] != 0xff) ++count;
        }
        UserOpRejection[] memory rejected = new UserOpRejection[](count);
        (uint256 place, uint256 next) = (0, 0);
        for (uint256 i = 0; i < batch.verdicts.length; ++i) {
            if (batch.verdicts[i] == 0) continue;
            Refused memory task = batch.refused[place++];
            if (batch.verdicts[i] != 0xff) {
                rejected[next++] = UserOpRejection(task.userOpHash, task.smartAccount, uint8(batch.verdicts[i]));
            }
        }
        return center.verdictDigest(proposal, approved, rejected);
    }

    function certify(bytes32 digest, uint256[] memory signers) internal view returns (Certificate memory) {
        uint256 secret;
        bytes memory bitmap = new bytes((operators.length + 7) / 8);
        for (uint256 i = 0; i < signers.length; ++i) {
            secret = addmod(secret, operators[signers[i]].secret, Signing.R);
            bitmap[signers[i] / 8] |= bytes1(uint8(1 << (signers[i] % 8)));
        }
        return Certificate(bitmap, Signing.vote(secret, digest));
    }

    function ecdsa(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function firstOf(uint256 count) internal pure returns (uint256[] memory list) {
        list = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = i;
        }
    }

    function submit(Submission memory s) internal {
        vm.prank(AGGREGATOR);
        center.submit(s.proposal, s.performerSignature, s.batch, s.certificate);
    }

    /// Expects `submit` to revert with exactly this.
    function submitReverts(Submission memory s, bytes memory reason) internal {
        vm.prank(AGGREGATOR);
        vm.expectRevert(reason);
        center.submit(s.proposal, s.performerSignature, s.batch, s.certificate);
    }

    function submitReverts(Submission memory s, bytes4 reason) internal {
        vm.prank(AGGREGATOR);
        try center.submit(s.proposal, s.performerSignature, s.batch, s.certificate) {
            revert("submit went through");
        } catch (bytes memory data) {
            eq(bytes4(data), reason, "submit reverted for another reason");
        }
    }

    function recorded(uint256 i) internal view returns (uint256) {
        return counter.count(accounts[i], occurrence(i + 1));
    }

    receive() external payable {}
}
