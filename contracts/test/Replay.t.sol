// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import "./Network.sol";

/// Quorum rules, replay, abstentions, sets in their grace time, who may submit.
contract ReplayTest is Network {
    event TaskRejected(bytes32 indexed proposal, bytes32 indexed userOpHash, uint8 reason);

    function setUp() public {
        deployNetwork(6);
        addAccounts(4);
    }

    // ---------------------------------------------------------------- thresholds (6 operators of 100 each)

    function test_exactly_two_thirds_do_not_approve() public {
        Submission memory s = submissionOf(recordOperations(2), approvals(2), firstOf(4));
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.QuorumNotReached.selector, 400, 600));
        setPower(operators[0].controller, 101); // 401 of 601: strictly more
        obls.commitSet();
        submit(submissionOf(recordOperations(2), approvals(2), firstOf(4)));
        eq(counter.total(), 2, "executed");
    }

    function test_exactly_one_third_rejects() public {
        submitReverts(
            submissionOf(recordOperations(2), hex"0102", firstOf(1)),
            abi.encodeWithSelector(IAttestationCenter.QuorumNotReached.selector, 100, 600)
        );
        Submission memory s = submissionOf(recordOperations(2), hex"0102", firstOf(2));
        vm.recordLogs();
        submit(s);
        bytes32 digest = center.proposalDigest(s.proposal);
        eq(center.done(digest, 0), 3, "both settled");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 rejected;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != TaskRejected.selector) continue;
            eq(logs[i].topics[1], digest, "proposal");
            eq(logs[i].topics[2], s.batch.refused[rejected].userOpHash, "operation");
            eq(abi.decode(logs[i].data, (uint256)), ++rejected, "reason");
        }
        eq(rejected, 2, "rejections");
    }

    /// A vector that approves anything needs the approving quorum, whatever else it rejects.
    function test_mixed_vector_needs_the_approving_quorum() public {
        submitReverts(
            submissionOf(recordOperations(2), hex"0001", firstOf(4)),
            abi.encodeWithSelector(IAttestationCenter.QuorumNotReached.selector, 400, 600)
        );
    }

    function test_minimum_power() public {
        center.setTaskDefinition(TASK, TaskDefinition(2, 3, 1, 3, 501, true, 0, 0));
        submitReverts(
            submissionOf(recordOperations(2), approvals(2), firstOf(5)),
            abi.encodeWithSelector(IAttestationCenter.QuorumNotReached.selector, 500, 600)
        );
        submit(submissionOf(recordOperations(2), approvals(2), firstOf(6)));
    }

    function test_inactive_task_definition() public {
        Submission memory s = submissionOf(recordOperations(2), approvals(2), firstOf(6));
        s.proposal.taskDefinitionId = 9;
        seal(s, firstOf(6));
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.TaskDefinitionInactive.selector, 9));
    }

    function test_task_definitions_are_exclusive() public {
        uint32[4][7] memory bad = [
            [uint32(1), 3, 1, 3], // 1/3 + 1/3 < 1: two groups could decide differently
            [uint32(3), 3, 1, 3], // approval could never be reached
            [uint32(2), 3, 0, 3], // nobody rejects
            [uint32(2), 3, 4, 3],
            [uint32(0), 0, 1, 3],
            [uint32(2), 3, 1, 0],
            [uint32(665), 1000, 1, 3]
        ];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(IAttestationCenter.TaskDefinitionInvalid.selector);
            center.setTaskDefinition(2, TaskDefinition(bad[i][0], bad[i][1], bad[i][2], bad[i][3], 0, true, 0, 0));
        }
        center.setTaskDefinition(2, TaskDefinition(1, 2, 1, 2, 0, true, 0, 0));
        vm.prank(address(1));
        vm.expectRevert();
        center.setTaskDefinition(2, TaskDefinition(1, 2, 1, 2, 0, true, 0, 0));
    }

    // ---------------------------------------------------------------- replay

    function test_replay() public {
        Submission memory s = submissionOf(recordOperations(3), approvals(3), firstOf(5));
        submit(s);
        bytes memory already =
            abi.encodeWithSelector(IAttestationCenter.AlreadyDone.selector, center.proposalDigest(s.proposal), 0);
        submitReverts(s, already);
        seal(s, firstOf(6)); // another certificate over the same
        submitReverts(s, already);
        eq(counter.total(), 3, "executed once");
    }

    /// The same operations proposed again for another slot: their occurrences are spent.
    function test_replay_in_another_proposal() public {
        PackedUserOperation[] memory ops = recordOperations(2);
        submit(submissionOf(ops, approvals(2), firstOf(5)));
        for (uint256 i = 0; i < 2; ++i) {
            ops[i].nonce += 1;
        }
        Submission memory s = submissionOf(ops, approvals(2), firstOf(5));
        s.proposal.slot += 1;
        seal(s, firstOf(5));
        submit(s); // nothing goes through, nothing is settled
        eq(center.done(center.proposalDigest(s.proposal), 0), 0, "nothing settled");
        eq(counter.total(), 2, "executed once");
    }

    /// A split: the agreed part first, the disputed task later. Only what is new is handed over.
    function test_split_certificates_settle_task_by_task() public {
        PackedUserOperation[] memory ops = recordOperations(4);
        Submission memory s = submissionOf(ops, hex"00ff0000", firstOf(5));
        bytes32 digest = center.proposalDigest(s.proposal);
        submit(s);
        eq(center.done(digest, 0), 13, "agreed part");
        Submission memory all = submissionOf(ops, approvals(4), firstOf(5));
        eq(center.proposalDigest(all.proposal), digest, "same proposal");
        submit(all);
        eq(center.done(digest, 0), 15, "all");
        eq(counter.total(), 4, "each once");
    }

    /// What was rejected is not handed over by a later certificate.
    function test_rejected_stays_rejected() public {
        PackedUserOperation[] memory ops = recordOperations(2);
        submit(submissionOf(ops, hex"ff07", firstOf(2)));
        submit(submissionOf(ops, approvals(2), firstOf(5)));
        eq(recorded(0), 1, "approved");
        eq(recorded(1), 0, "rejected");
    }

    function test_nothing_decided() public {
        submitReverts(
            submissionOf(recordOperations(2), hex"ffff", firstOf(6)), IAttestationCenter.NothingDecided.selector
        );
    }

    // ---------------------------------------------------------------- sets and submitters

    function test_set_before_within_grace() public {
        Submission memory first = submissionOf(recordOperations(1), approvals(1), firstOf(5));
        addOperator(6, 1000);
        obls.commitSet();
        vm.warp(block.timestamp + GRACE);
        check(obls.isAccepted(1) && obls.isAccepted(2), "accepted within the grace time");
        uint256 state = vm.snapshotState();
        vm.prank(AGGREGATOR);
        center.submit(first.proposal, first.performerSignature, first.batch, first.certificate);
        vm.revertToState(state);
        vm.warp(block.timestamp + 1);
        check(!obls.isAccepted(1), "not accepted after it");
        submitReverts(first, abi.encodeWithSelector(IAttestationCenter.SetNotAccepted.selector, 1));
    }

    function test_only_one_set_back() public {
        obls.commitSet();
        obls.commitSet();
        check(!obls.isAccepted(1) && obls.isAccepted(2) && obls.isAccepted(3) && !obls.isAccepted(4), "two sets");
    }

    function test_jailed_count_zero_at_once() public {
        Submission memory s = submissionOf(recordOperations(1), approvals(1), firstOf(5));
        obls.setJailed(operators[4].controller, true); // 400 of 500 now: still more than two thirds
        obls.setJailed(operators[3].controller, true); // 300 of 400
        obls.setJailed(operators[2].controller, true); // 200 of 300: exactly two thirds
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.QuorumNotReached.selector, 200, 300));
        obls.setJailed(operators[2].controller, false);
        obls.setJailed(operators[0].controller, true); // the performer
        submitReverts(s, IAttestationCenter.PerformerNotMember.selector);
        obls.setJailed(operators[0].controller, false);
        submit(s);
    }

    function test_submitters() public {
        Submission memory s = submissionOf(recordOperations(1), approvals(1), firstOf(5));
        uint256 deadline = center.slotStart(SLOT) + AGGREGATOR_DEADLINE;
        address[2] memory others = [operators[3].signer, address(0xbad)];
        for (uint256 i = 0; i < 2; ++i) {
            vm.warp(deadline - 1);
            vm.prank(others[i]);
            vm.expectRevert(
                abi.encodeWithSelector(IAttestationCenter.NotAggregator.selector, others[i], AGGREGATOR, deadline)
            );
            center.submit(s.proposal, s.performerSignature, s.batch, s.certificate);
        }
        vm.warp(deadline);
        vm.prank(others[1]);
        vm.expectRevert(
            abi.encodeWithSelector(IAttestationCenter.NotAggregator.selector, others[1], AGGREGATOR, deadline)
        );
        center.submit(s.proposal, s.performerSignature, s.batch, s.certificate);
        vm.prank(others[0]);
        center.submit(s.proposal, s.performerSignature, s.batch, s.certificate);
        check(others[0].balance > 0, "the member who submitted is the beneficiary");
    }

    /// 256 tasks: the last bit works.
    function test_256_tasks() public {
        PackedUserOperation[] memory ops = new PackedUserOperation[](256);
        bytes memory verdicts = new bytes(256);
        for (uint256 i = 0; i < 256; ++i) {
            ops[i] = recordOperation(i % 4);
            verdicts[i] = i == 255 ? bytes1(0) : bytes1(0xff);
        }
        Submission memory s = submissionOf(ops, verdicts, firstOf(6));
        submit(s);
        eq(center.done(center.proposalDigest(s.proposal), 0), 1 << 255, "the last task");
        eq(recorded(3), 1, "executed");
    }
}
