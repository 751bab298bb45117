// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEntryPoint, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Mischief} from "../src/demo/Mischief.sol";
import "./Network.sol";

/// A beneficiary that refuses to be paid.
contract Unpayable {
    function submit(
        IAttestationCenter center,
        Proposal calldata p,
        bytes calldata sig,
        Batch calldata b,
        Certificate calldata c
    ) external {
        center.submit(p, sig, b, c);
    }
}

/// An account whose validation burns all it is given, or calls whatever it is told to.
contract HostileAccount {
    bool public burn;
    address public target;
    bytes public data;
    bytes public returned;

    function set(bool burn_, address target_, bytes calldata data_) external {
        (burn, target, data) = (burn_, target_, data_);
    }

    function validateUserOp(PackedUserOperation calldata, bytes32, uint256) external returns (uint256) {
        while (burn) {}
        if (target != address(0)) (, returned) = target.call(data);
        return 0;
    }
}

/// The hook and the EntryPoint: bad operations among good ones, approvals that outlive nothing, gas.
contract HandoverTest is Network {
    event OperationFailed(bytes32 indexed consent, bytes reason);
    event UserOperationEvent(
        bytes32 indexed userOpHash,
        address indexed sender,
        address indexed paymaster,
        uint256 nonce,
        bool success,
        uint256 actualGasCost,
        uint256 actualGasUsed
    );

    function setUp() public {
        deployNetwork(4);
        addAccounts(5);
    }

    /// Submits five operations with a bad one in the middle; the four others must execute.
    function among(PackedUserOperation memory bad)
        internal
        returns (Submission memory s, uint256 failures, bytes memory reason)
    {
        PackedUserOperation[] memory ops = recordOperations(5);
        ops[2] = bad;
        s = submissionOf(ops, approvals(5), firstOf(4));
        vm.recordLogs();
        submit(s);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != OperationFailed.selector) continue;
            ++failures;
            eq(logs[i].topics[1], center.consentHash(consentOf(bad)), "which operation failed");
            reason = abi.decode(logs[i].data, (bytes));
        }
        for (uint256 i = 0; i < 5; ++i) {
            if (i != 2) eq(recorded(i), 1, "a good neighbour executed");
        }
        eq(counter.total(), 4, "and nothing else");
        eq(center.done(center.proposalDigest(s.proposal), 0), failures == 0 ? 31 : 27, "done");
    }

    // ---------------------------------------------------------------- execution fails: the EntryPoint goes on

    function test_reverting_operation() public {
        (, uint256 failures,) =
            among(operationTo(accounts[2], 3, mischief, abi.encodeCall(Mischief.fail, ("I would rather not"))));
        eq(failures, 0, "executed, without success");
        check(module.isSpent(accounts[2], occurrence(3)), "its occurrence is spent all the same");
    }

    function test_out_of_gas_operation() public {
        (, uint256 failures,) = among(operationTo(accounts[2], 3, mischief, abi.encodeCall(Mischief.burn, ())));
        eq(failures, 0, "executed, without success");
    }

    function test_operation_with_megabytes_of_revert_data() public {
        PackedUserOperation memory bad =
            operationTo(accounts[2], 3, mischief, abi.encodeCall(Mischief.failLong, (50_000)));
        (, uint256 failures,) = among(bad);
        eq(failures, 0, "executed, without success");
    }

    /// Re-enters: the EntryPoint with another approved operation, and the AttestationCenter with its own submission.
    function test_reentering_operation() public {
        PackedUserOperation[] memory stolen = new PackedUserOperation[](1);
        stolen[0] = recordOperation(4);
        PackedUserOperation memory bad = operationTo(
            accounts[2],
            3,
            mischief,
            abi.encodeCall(
                Mischief.reenter, (ENTRY_POINT, abi.encodeCall(IEntryPoint.handleOps, (stolen, payable(mischief))))
            )
        );
        among(bad);
        eq(mischief.balance, 0, "the thief got nothing");
    }

    function test_reentering_the_attestation_center() public {
        PackedUserOperation[] memory other = recordOperations(2);
        Submission memory inner = submissionOf(other, approvals(2), firstOf(4));
        inner.proposal.aggregator = mischief;
        seal(inner, firstOf(4));
        PackedUserOperation memory bad = operationTo(
            accounts[2],
            3,
            mischief,
            abi.encodeCall(
                Mischief.reenter,
                (
                    address(center),
                    abi.encodeCall(
                        IAttestationCenter.submit,
                        (inner.proposal, inner.performerSignature, inner.batch, inner.certificate)
                    )
                )
            )
        );
        bad.accountGasLimits = bytes32((uint256(120_000) << 128) | 3_000_000);
        among(bad);
        eq(center.done(center.proposalDigest(inner.proposal), 0), 0, "the inner submission did nothing");
    }

    function test_reentering_hook_and_module() public {
        bytes32[] memory consents = new bytes32[](1);
        bytes[3] memory calls = [
            abi.encodeCall(IDittoHook.handover, (new PackedUserOperation[](0), new bytes32[](0), address(1))),
            abi.encodeCall(IDittoValidatorModule.authorize, (consents)),
            abi.encodeCall(IDittoValidatorModule.clear, (consents))
        ];
        for (uint256 i = 0; i < 3; ++i) {
            address target = i == 0 ? address(hook) : address(module);
            (bool ok, bytes memory returned) = target.call(calls[i]);
            check(!ok, "only by the one above it");
            bytes4 want = i == 0 ? IDittoHook.OnlyAttestationCenter.selector : IDittoValidatorModule.OnlyHook.selector;
            eq(bytes4(returned), want, "reason");
        }
    }

    // ---------------------------------------------------------------- validation fails: one by one

    function test_operation_with_a_wrong_nonce() public {
        PackedUserOperation memory bad = recordOperation(2);
        bad.nonce += 1;
        (Submission memory s, uint256 failures, bytes memory reason) = among(bad);
        eq(failures, 1, "one failed");
        eq(bytes4(reason), IEntryPoint.FailedOp.selector, "the EntryPoint's reason");
        check(!module.isSpent(accounts[2], occurrence(3)), "nothing of it is consumed");
        // The certificate comes again: what is done is skipped, what still fails fails alone.
        vm.recordLogs();
        submit(s);
        eq(counter.total(), 4, "no one twice");
    }

    /// When the cause is gone the same certificate executes what was left.
    function test_resubmission_executes_what_was_left() public {
        PackedUserOperation memory bad = recordOperation(2);
        vm.prank(accounts[2]);
        module.revokeSession(SESSION_KEY);
        (Submission memory s, uint256 failures,) = among(bad);
        eq(failures, 1, "one failed");
        vm.prank(accounts[2]);
        module.enableSession(Session(SESSION_KEY, 0, 0, 0));
        submit(s);
        eq(recorded(2), 1, "executed now");
        eq(counter.total(), 5, "each once");
        submitReverts(s, IAttestationCenter.AlreadyDone.selector);
    }

    function test_account_that_burns_its_validation_gas() public {
        HostileAccount account = new HostileAccount();
        account.set(true, address(0), "");
        PackedUserOperation memory bad = recordOperation(2);
        bad.sender = address(account);
        IEntryPointDeposits(ENTRY_POINT).depositTo{value: 1 ether}(address(account));
        (, uint256 failures,) = among(bad);
        eq(failures, 1, "one failed");
    }

    /// An account that tries to take a neighbour's approved operation during validation.
    function test_account_that_steals_during_validation() public {
        HostileAccount account = new HostileAccount();
        PackedUserOperation[] memory stolen = new PackedUserOperation[](1);
        stolen[0] = recordOperation(4);
        account.set(false, ENTRY_POINT, abi.encodeCall(IEntryPoint.handleOps, (stolen, payable(address(account)))));
        PackedUserOperation memory bad = recordOperation(2);
        bad.sender = address(account);
        bad.accountGasLimits = bytes32((uint256(600_000) << 128) | 150_000);
        IEntryPointDeposits(ENTRY_POINT).depositTo{value: 1 ether}(address(account));
        among(bad);
        check(account.returned().length != 0, "the EntryPoint refused");
        // and it cannot pose as the neighbour towards the module
        account.set(
            false,
            address(module),
            abi.encodeWithSignature(
                "validateUserOp((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes),bytes32)",
                stolen[0],
                hashOf(stolen[0])
            )
        );
        account.validateUserOp(bad, 0, 0);
        eq(bytes4(account.returned()), IDittoValidatorModule.OnlySender.selector, "sender only");
    }

    /// Two operations of one account in a batch, on two lanes; and the same occurrence twice.
    function test_two_lanes_and_one_occurrence_twice() public {
        PackedUserOperation[] memory ops = new PackedUserOperation[](3);
        ops[0] = recordOperation(0);
        ops[1] = operationTo(accounts[0], 9, address(counter), abi.encodeCall(ICounter.record, (occurrence(9))));
        ops[2] = operationTo(accounts[0], 8, address(counter), abi.encodeCall(ICounter.record, (occurrence(9))));
        ops[2].signature = ops[1].signature; // occurrence 9 on another lane
        Submission memory s = submissionOf(ops, approvals(3), firstOf(4));
        submit(s);
        eq(center.done(center.proposalDigest(s.proposal), 0), 3, "two lanes at once, the third one spent");
        eq(counter.count(accounts[0], occurrence(9)), 1, "once");
    }

    // ---------------------------------------------------------------- approvals do not outlive the handover

    function direct(PackedUserOperation memory op) internal returns (bool ok, bytes memory reason) {
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = op;
        vm.prank(address(0xbad));
        return ENTRY_POINT.call(abi.encodeCall(IEntryPoint.handleOps, (ops, payable(address(0xbad)))));
    }

    function test_direct_call_before_and_after() public {
        PackedUserOperation[] memory ops = recordOperations(2);
        bytes memory aa24 = abi.encodeWithSelector(IEntryPoint.FailedOp.selector, 0, "AA24 signature error");
        (bool ok, bytes memory reason) = direct(ops[0]);
        check(!ok && keccak256(reason) == keccak256(aa24), "before: no approval");
        submit(submissionOf(ops, hex"00ff", firstOf(4)));
        (ok, reason) = direct(ops[1]);
        check(!ok && keccak256(reason) == keccak256(aa24), "never approved");
        (ok,) = direct(ops[0]);
        check(!ok, "after: nonce used");
        ops[0].nonce += 1;
        (ok, reason) = direct(ops[0]);
        check(!ok && keccak256(reason) == keccak256(aa24), "after: no approval");
    }

    /// Within the submitting transaction, right after submit: an approved operation that failed cannot be picked up.
    function test_direct_call_in_the_same_transaction() public {
        PackedUserOperation memory op = recordOperation(0);
        vm.prank(accounts[0]);
        module.revokeSession(SESSION_KEY);
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = op;
        Picker picker = new Picker();
        Submission memory s = submissionOf(ops, approvals(1), firstOf(4));
        s.proposal.aggregator = address(picker);
        seal(s, firstOf(4));
        vm.etch(address(0xacc7), hex"00");
        bytes memory reason = picker.run(
            center,
            abi.encodeCall(IAttestationCenter.submit, (s.proposal, s.performerSignature, s.batch, s.certificate)),
            module,
            center.consentHash(consentOf(op))
        );
        eq(reason.length, 0, "approval withdrawn");
    }

    // ---------------------------------------------------------------- gas

    function test_submission_with_little_gas() public {
        Submission memory s = submissionOf(recordOperations(5), approvals(5), firstOf(4));
        uint256 required = center.requiredGas(s.batch.approved);
        check(required > 5 * 320_000, "the sum of the limits at least");
        uint256 state = vm.snapshotState();
        // From too little to enough: either the submission reverts and nothing is consumed, or all five execute.
        bool went;
        for (uint256 gas_ = 200_000; gas_ <= required + 500_000; gas_ += 100_000) {
            vm.prank(AGGREGATOR);
            try center.submit{gas: gas_}(s.proposal, s.performerSignature, s.batch, s.certificate) {
                eq(counter.total(), 5, "all or nothing");
                went = true;
            } catch (bytes memory reason) {
                check(!went, "more gas cannot hurt");
                eq(counter.total(), 0, "nothing consumed");
                if (gas_ > 600_000) eq(bytes4(reason), IAttestationCenter.InsufficientGas.selector, "named");
            }
            vm.revertToState(state);
        }
        check(went, "enough is enough");
    }

    /// From the smallest sufficient gas up, with an operation that burns all of its limits in validation and thereby fails the batch:
    /// whatever is not executed is neither consumed nor settled.
    function test_burning_validation_with_little_gas() public {
        HostileAccount account = new HostileAccount();
        account.set(true, address(0), "");
        PackedUserOperation[] memory ops = recordOperations(5);
        ops[4].sender = address(account);
        ops[4].accountGasLimits = bytes32((uint256(1_500_000) << 128) | 10_000);
        IEntryPointDeposits(ENTRY_POINT).depositTo{value: 1 ether}(address(account));
        Submission memory s = submissionOf(ops, approvals(5), firstOf(4));
        uint256 least = center.requiredGas(ops);
        bytes32 digest = center.proposalDigest(s.proposal);
        uint256 state = vm.snapshotState();
        (uint256 starved, uint256 complete) = (0, 0);
        for (uint256 more = 250_000; more <= 1_500_000; more += 50_000) {
            vm.recordLogs();
            vm.prank(AGGREGATOR);
            try center.submit{gas: least + more}(s.proposal, s.performerSignature, s.batch, s.certificate) {
                starved += notEnoughGas(vm.getRecordedLogs());
            } catch (bytes memory reason) {
                eq(bytes4(reason), IAttestationCenter.InsufficientGas.selector, "reverts only for the demand");
                vm.getRecordedLogs();
            }
            uint256 done = center.done(digest, 0);
            for (uint256 i = 0; i < 4; ++i) {
                eq(recorded(i), (done >> i) & 1, "settled is executed");
            }
            eq(done >> 4, 0, "the burner is not settled");
            if (done == 15) ++complete;
            vm.revertToState(state);
        }
        check(starved != 0, "some were left undone for want of gas, by name");
        check(complete != 0, "with more gas all good ones execute");
    }

    function notEnoughGas(Vm.Log[] memory logs) internal pure returns (uint256 count) {
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != OperationFailed.selector) continue;
            if (bytes4(abi.decode(logs[i].data, (bytes))) == IDittoHook.NotEnoughGas.selector) ++count;
        }
    }

    function test_beneficiary_that_cannot_be_paid() public {
        Unpayable submitter = new Unpayable();
        Submission memory s = submissionOf(recordOperations(2), approvals(2), firstOf(4));
        s.proposal.aggregator = address(submitter);
        seal(s, firstOf(4));
        submitter.submit(center, s.proposal, s.performerSignature, s.batch, s.certificate);
        eq(center.done(center.proposalDigest(s.proposal), 0), 0, "nothing settled, nothing consumed");
        vm.warp(center.slotStart(SLOT) + AGGREGATOR_DEADLINE);
        vm.prank(operators[2].signer);
        center.submit(s.proposal, s.performerSignature, s.batch, s.certificate);
        eq(counter.total(), 2, "another member submits the same certificate");
    }
}

/// Submits, and in the same transaction looks whether the approval is still there: as the account, towards the module.
contract Picker {
    function run(IAttestationCenter center, bytes calldata submission, IDittoValidatorModule module, bytes32 consent)
        external
        returns (bytes memory)
    {
        (bool ok,) = address(center).call(submission);
        require(ok, "submit");
        bytes32 still;
        // Transient storage of another contract cannot be read; its slot is the consent, so ask through code put in its place.
        vm.etch(address(module), hex"5f355c5f5260205ff3"); // TLOAD(calldata[0])
        (, bytes memory answer) = address(module).call(abi.encode(consent));
        still = abi.decode(answer, (bytes32));
        return still == 0 ? bytes("") : bytes("still approved");
    }

    receive() external payable {}
}
