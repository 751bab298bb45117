// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Committee} from "../src/Committee.sol";
import {Electorate} from "../src/interfaces/IOBLS.sol";
import "./Network.sol";

/// The draw alone, over any powers.
contract Draw {
    function owners(uint256[] memory powers, bytes32 randomness, uint32 setId, Electorate calldata electorate)
        external
        pure
        returns (bytes32 seed, uint256[] memory list)
    {
        uint256 at;
        uint256 to;
        bytes memory seats = new bytes(2 * uint256(electorate.seats) + 32);
        for (uint256 i = 0; i < powers.length; ++i) {
            powers[i] |= uint256(0x5151) << 96; // a signer's address above the power
        }
        assembly {
            at := add(powers, 0x20)
            to := add(seats, 0x20)
        }
        seed = Committee.seedOf(randomness, setId, electorate);
        Committee.Roster memory roster = Committee.Roster(at, powers.length, electorate.minimumPower);
        (uint256 count, uint256 power) = Committee.eligible(roster);
        if (electorate.seats == 0 || count <= electorate.seats) return (seed, list);
        Committee.draw(roster, seed, electorate.seats, power, to);
        list = new uint256[](electorate.seats);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = uint256(uint8(seats[2 * i])) << 8 | uint8(seats[2 * i + 1]);
        }
    }
}

/// Minimum power per attester, committees, and their thresholds.
contract CommitteeTest is Network {
    uint16 constant SEATS = 6;

    function setUp() public {
        deployNetwork(12); // of 100 each: two on every stretch of six seats, so every owner has one
        addAccounts(2);
    }

    function rule(uint16 cap, uint96 minimum) internal {
        center.setTaskDefinition(TASK, TaskDefinition(2, 3, 1, 3, 0, true, cap, minimum));
    }

    function committee(uint16 seats) internal view returns (uint16[] memory) {
        return obls.committeeOf(obls.currentSetId(), Electorate(SLOT, TASK, seats, 0));
    }

    /// The owners of the first `count` seats, each once.
    function seated(uint16[] memory owners, uint256 count) internal pure returns (uint256[] memory list) {
        uint256 different;
        for (uint256 i = 0; i < count; ++i) {
            if (i == 0 || owners[i] != owners[i - 1]) ++different;
        }
        list = new uint256[](different);
        uint256 next;
        for (uint256 i = 0; i < count; ++i) {
            if (i == 0 || owners[i] != owners[i - 1]) list[next++] = owners[i];
        }
    }

    function approving(uint256[] memory signers) internal view returns (Submission memory) {
        return submissionOf(recordOperations(2), approvals(2), signers);
    }

    function quorumNotReached(uint256 signed, uint256 total) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IAttestationCenter.QuorumNotReached.selector, signed, total);
    }

    // ---------------------------------------------------------------- vectors

    /// What an independent implementation drew (vectors/generate.cjs); core/src/committee.rs reads the same.
    function test_vectors() public {
        Draw draw = new Draw();
        string memory json = vm.readFile("test/vectors/committee.json");
        uint256 cases;
        for (; vm.keyExistsJson(json, string.concat(".cases[", vm.toString(cases), "]")); ++cases) {
            string memory at = string.concat(".cases[", vm.toString(cases), "].");
            Electorate memory electorate = Electorate(
                uint64(vm.parseJsonUint(json, string.concat(at, "slot"))),
                uint16(vm.parseJsonUint(json, string.concat(at, "taskDefinitionId"))),
                uint16(vm.parseJsonUint(json, string.concat(at, "seats"))),
                uint96(vm.parseJsonUint(json, string.concat(at, "minimumPower")))
            );
            (bytes32 seed, uint256[] memory owners) = draw.owners(
                vm.parseJsonUintArray(json, string.concat(at, "powers")),
                vm.parseJsonBytes32(json, string.concat(at, "randomness")),
                uint32(vm.parseJsonUint(json, string.concat(at, "setId"))),
                electorate
            );
            eq(seed, vm.parseJsonBytes32(json, string.concat(at, "seed")), "seed");
            uint256[] memory want = vm.parseJsonUintArray(json, string.concat(at, "owners"));
            eq(owners.length, want.length, "seats");
            for (uint256 i = 0; i < want.length; ++i) {
                eq(owners[i], want[i], string.concat("case ", vm.toString(cases), ", seat ", vm.toString(i)));
            }
        }
        check(cases == 14, "all cases");
    }

    // ---------------------------------------------------------------- thresholds by seats

    function test_exactly_two_thirds_of_the_seats_do_not_approve() public {
        rule(SEATS, 0);
        uint16[] memory owners = committee(SEATS);
        submitReverts(approving(seated(owners, 4)), quorumNotReached(4, 6));
        submit(approving(seated(owners, 5)));
        eq(counter.total(), 2, "executed");
    }

    function test_exactly_one_third_of_the_seats_rejects() public {
        rule(SEATS, 0);
        uint16[] memory owners = committee(SEATS);
        submitReverts(submissionOf(recordOperations(2), hex"0102", seated(owners, 1)), quorumNotReached(1, 6));
        Submission memory s = submissionOf(recordOperations(2), hex"0102", seated(owners, 2));
        submit(s);
        eq(center.done(center.proposalDigest(s.proposal), 0), 3, "both settled");
    }

    /// Seats are by power: who has nearly all of it has nearly all seats, and counts with each of them.
    function test_a_seat_each_counts() public {
        setPower(operators[4].controller, 11_900); // of 13,000: at least 5 seats of 7
        obls.commitSet();
        rule(7, 0);
        uint16[] memory owners = committee(7);
        uint256[] memory heavy = new uint256[](1);
        heavy[0] = 4;
        uint256 held;
        for (uint256 i = 0; i < 7; ++i) {
            if (owners[i] == 4) ++held;
        }
        check(held >= 5, "by power");
        submit(approving(heavy)); // 3 * 5 > 2 * 7
        eq(counter.total(), 2, "executed");
    }

    function test_who_has_no_seat_signs_nothing() public {
        rule(SEATS, 0);
        uint16[] memory owners = committee(SEATS);
        uint256[] memory signers = new uint256[](6);
        for (uint256 i = 0; i < 5; ++i) {
            signers[i] = owners[i];
        }
        signers[5] = owners[5] ^ 1; // its neighbour on the stretch
        submitReverts(approving(signers), abi.encodeWithSelector(IOBLS.SignersNotEntitled.selector, 6, 5));
        // not even with everybody's seats beside
        submitReverts(approving(firstOf(12)), abi.encodeWithSelector(IOBLS.SignersNotEntitled.selector, 12, 6));
    }

    function test_every_slot_and_definition_has_its_own_committee() public {
        rule(SEATS, 0);
        uint16[] memory owners = committee(SEATS);
        Submission memory s = approving(seated(owners, 6));
        s.proposal.slot = SLOT + 1;
        seal(s, seated(owners, 6));
        submitReverts(s, IOBLS.SignersNotEntitled.selector);
        center.setTaskDefinition(2, TaskDefinition(2, 3, 1, 3, 0, true, SEATS, 0));
        s.proposal.slot = SLOT;
        s.proposal.taskDefinitionId = 2;
        seal(s, seated(owners, 6));
        submitReverts(s, IOBLS.SignersNotEntitled.selector);
        vm.prevrandao(keccak256("other"));
        obls.commitSet();
        check(keccak256(abi.encode(committee(SEATS))) != keccak256(abi.encode(owners)), "every set");
    }

    /// Jailing moves nobody: the seat is empty, and counts on neither side.
    function test_a_jailed_member_keeps_an_empty_seat() public {
        rule(SEATS, 0);
        uint16[] memory owners = committee(SEATS);
        Submission memory s = approving(seated(owners, 5));
        obls.setJailed(operators[owners[4]].controller, true); // 4 of 5
        obls.setJailed(operators[owners[3]].controller, true); // 3 of 4
        obls.setJailed(operators[owners[2]].controller, true); // 2 of 3: exactly two thirds
        eq(keccak256(abi.encode(committee(SEATS))), keccak256(abi.encode(owners)), "the same seats");
        submitReverts(s, quorumNotReached(2, 3));
        obls.setJailed(operators[owners[2]].controller, false);
        submit(s);
    }

    function test_no_cap_when_everybody_finds_a_seat() public {
        rule(12, 0);
        eq(committee(12).length, 0, "no draw");
        submitReverts(approving(firstOf(8)), quorumNotReached(800, 1_200));
        submit(approving(firstOf(9)));
        rule(11, 0);
        eq(committee(11).length, 11, "drawn");
    }

    // ---------------------------------------------------------------- minimum power per attester

    function test_who_is_below_the_minimum_does_not_count() public {
        for (uint256 i = 6; i < 12; ++i) {
            setPower(operators[i].controller, 99);
        }
        obls.commitSet();
        rule(0, 100); // six of 100 each are left
        submitReverts(approving(firstOf(4)), quorumNotReached(400, 600));
        submitReverts(submissionOf(recordOperations(2), hex"0102", firstOf(1)), quorumNotReached(100, 600));
        submitReverts(approving(firstOf(7)), abi.encodeWithSelector(IOBLS.SignersNotEntitled.selector, 7, 6));
        obls.setJailed(operators[1].controller, true);
        submitReverts(approving(firstOf(4)), quorumNotReached(300, 500));
        obls.setJailed(operators[1].controller, false);
        uint256 state = vm.snapshotState();
        submit(approving(firstOf(5)));
        vm.revertToState(state);
        submit(submissionOf(recordOperations(2), hex"0102", firstOf(2)));
    }

    function test_the_minimum_is_inclusive_and_nobody_may_be_left() public {
        rule(0, 101);
        submitReverts(approving(firstOf(12)), abi.encodeWithSelector(IOBLS.SignersNotEntitled.selector, 12, 0));
        rule(0, 100);
        submit(approving(firstOf(9)));
    }

    /// Both: the seats are drawn among those who have the minimum.
    function test_who_is_below_the_minimum_never_sits() public {
        for (uint256 i = 0; i < 3; ++i) {
            setPower(operators[i].controller, 99);
        }
        obls.commitSet();
        rule(SEATS, 100);
        for (uint64 slot = 0; slot < 40; ++slot) {
            uint16[] memory owners = obls.committeeOf(2, Electorate(slot, TASK, SEATS, 100));
            eq(owners.length, SEATS, "seats");
            for (uint256 i = 0; i < owners.length; ++i) {
                check(owners[i] >= 3 && owners[i] < 12, "an eligible owner");
            }
        }
        submit(approving(seated(obls.committeeOf(2, Electorate(SLOT, TASK, SEATS, 100)), 6)));
    }

    // ---------------------------------------------------------------- stake moving between vote and execution

    /// Everybody who voted loses its stake before the transaction is mined: the set it names still counts, for the grace time.
    function stakeMoves(uint256[] memory signers) internal {
        Submission memory s = approving(signers);
        for (uint256 i = 0; i < signers.length; ++i) {
            setPower(operators[signers[i]].controller, 0);
        }
        addOperator(12, 5_000);
        vm.prevrandao(keccak256("later"));
        obls.commitSet();
        vm.warp(block.timestamp + GRACE);
        for (uint256 i = 0; i < 2; ++i) {
            s.batch.approved[i].signature = sessionData(
                SESSION_KEY, occurrence(i + 1), uint48(block.timestamp - 60), uint48(block.timestamp + 60)
            );
        }
        seal(s, signers); // as if the operations had been valid for long enough
        uint256 state = vm.snapshotState();
        vm.prank(AGGREGATOR);
        center.submit(s.proposal, s.performerSignature, s.batch, s.certificate);
        eq(counter.total(), 2, "within the grace time");
        vm.revertToState(state);
        vm.warp(block.timestamp + 1);
        submitReverts(s, abi.encodeWithSelector(IAttestationCenter.SetNotAccepted.selector, 1));
        // and under the set that came after, their votes are nobody's
        s.proposal.setId = 2;
        seal(s, signers);
        vm.prank(AGGREGATOR);
        vm.expectRevert();
        center.submit(s.proposal, s.performerSignature, s.batch, s.certificate);
    }

    function test_stake_moves_by_power() public {
        stakeMoves(firstOf(9));
    }

    function test_stake_moves_by_seats() public {
        rule(SEATS, 0);
        stakeMoves(seated(committee(SEATS), 5));
    }

    // ---------------------------------------------------------------- what an attacker would look for

    /// Who could name any slot could look for one whose committee he owns.
    function test_a_slot_far_away_is_refused_under_a_cap() public {
        Submission memory s = approving(firstOf(9));
        uint256 start = center.slotStart(SLOT);
        rule(SEATS, 0);
        s = approving(seated(committee(SEATS), 5));
        bytes memory refusal = abi.encodeWithSelector(
            IAttestationCenter.SlotOutOfWindow.selector, SLOT, start - 5 minutes, start + 1 hours
        );
        vm.warp(start - 5 minutes - 1);
        submitReverts(s, refusal);
        vm.warp(start + 1 hours + 1);
        submitReverts(s, refusal);
        uint256 state = vm.snapshotState();
        vm.warp(start + 1 hours);
        submit(s); // its operations are over, which is the EntryPoint's to say
        eq(counter.total(), 0, "over");
        vm.revertToState(state);
        vm.warp(start - 30);
        submit(s);
        eq(counter.total(), 2, "a chain whose clock lags");
        // without a cap there is nothing to look for
        rule(0, 0);
        vm.warp(start + 2 hours);
        submit(approving(firstOf(9)));
    }

    function test_a_chain_without_randomness_draws_nothing() public {
        vm.prevrandao(bytes32(uint256(1)));
        uint32 id = obls.commitSet();
        rule(SEATS, 0);
        submitReverts(approving(firstOf(12)), abi.encodeWithSelector(IOBLS.NoRandomness.selector, id));
        rule(0, 0);
        submit(approving(firstOf(12)));
    }

    // ---------------------------------------------------------------- governance

    function test_rules_are_governances_and_make_sense() public {
        vm.prank(address(0xbad));
        vm.expectRevert();
        center.setTaskDefinition(TASK, TaskDefinition(2, 3, 1, 3, 0, true, SEATS, 0));
        vm.expectRevert(abi.encodeWithSelector(IAttestationCenter.TooManyAttesters.selector, 257, 256));
        center.setTaskDefinition(TASK, TaskDefinition(2, 3, 1, 3, 0, true, 257, 0));
        vm.expectRevert(abi.encodeWithSelector(IAttestationCenter.MinimumPowerUnderCap.selector, 1));
        center.setTaskDefinition(TASK, TaskDefinition(2, 3, 1, 3, 1, true, 256, 0));
        center.setTaskDefinition(7, TaskDefinition(3, 4, 1, 4, 0, true, 256, type(uint96).max));
        TaskDefinition memory d = center.taskDefinition(7);
        check(d.approveNumerator == 3 && d.approveDenominator == 4, "read back");
        check(d.rejectNumerator == 1 && d.rejectDenominator == 4 && d.minimumPower == 0 && d.active, "read back");
        check(d.maxAttesters == 256 && d.minimumAttesterPower == type(uint96).max, "read back");
        center.setTaskDefinition(7, TaskDefinition(3, 4, 1, 4, 9, false, 0, 0));
        d = center.taskDefinition(7);
        check(!d.active && d.minimumPower == 9 && d.maxAttesters == 0 && d.minimumAttesterPower == 0, "and back again");
        vm.expectRevert(abi.encodeWithSelector(IOBLS.TooManySeats.selector, 257, 256));
        obls.committeeOf(1, Electorate(SLOT, TASK, 257, 0));
    }
}

/// What a committee costs, and saves, among 128 operators.
contract CommitteeGasTest is Network {
    function setUp() public {
        deployNetwork(128);
    }

    function frame(bytes memory data) internal returns (uint256) {
        (bool ok,) = address(obls).call(data); // not a static call: these are not isolated
        check(ok, "verify");
        uint256 calldata_;
        for (uint256 i = 0; i < data.length; ++i) {
            calldata_ += data[i] == 0 ? 4 : 16;
        }
        return vm.lastCallGas().gasTotalUsed - 21_000 - calldata_;
    }

    function signersOf(uint16[] memory owners, uint256 seats) internal pure returns (uint256[] memory list) {
        list = new uint256[](seats);
        uint256 count;
        for (uint256 i = 0; i < seats; ++i) {
            if (i == 0 || owners[i] != owners[i - 1]) list[count++] = owners[i];
        }
        assembly {
            mstore(list, count)
        }
    }

    function test_gas_of_committees() public {
        bytes32 message = keccak256("message");
        Certificate memory all = certify(message, firstOf(86));
        uint256 uncapped = frame(abi.encodeCall(IOBLS.verify, (1, message, all.signers, all.signature)));
        Electorate memory everybody = Electorate(SLOT, TASK, 0, 100);
        uint256 minimum =
            frame(abi.encodeCall(IOBLS.verifyAmong, (1, everybody, message, all.signers, all.signature)));
        print("128 operators, just enough sign | signers | verify");
        print(string.concat("no cap | 86 | ", vm.toString(uncapped)));
        print(string.concat("no cap, a minimum per attester | 86 | ", vm.toString(minimum)));
        check(minimum < uncapped + 10_000, "a minimum costs a walk along the roster");
        uint16[4] memory caps = [uint16(4), 16, 64, 120];
        for (uint256 i = 0; i < caps.length; ++i) {
            Electorate memory electorate = Electorate(SLOT, TASK, caps[i], 0);
            uint256[] memory signers =
                signersOf(obls.committeeOf(1, electorate), uint256(caps[i]) * 2 / 3 + 1);
            Certificate memory c = certify(message, signers);
            uint256 used = frame(abi.encodeCall(IOBLS.verifyAmong, (1, electorate, message, c.signers, c.signature)));
            // The same signers without a draw: what the draw alone costs.
            uint256 plain = frame(abi.encodeCall(IOBLS.verify, (1, message, c.signers, c.signature)));
            string memory line = string.concat("cap ", vm.toString(caps[i]), " | ", vm.toString(signers.length), " | ");
            print(string.concat(line, vm.toString(used), ", of which the draw ", vm.toString(used - plain)));
            check(used < plain + 4_000 + 400 * uint256(caps[i]), "the draw");
        }
    }
}
