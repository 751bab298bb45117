// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Member, Set} from "../src/interfaces/IOBLS.sol";
import "./Network.sol";

/// Registration, sets and aggregated verification.
contract OperatorsTest is Network {
    function setUp() public {
        deployNetwork(5);
    }

    function candidate(uint256 secret, address controller)
        internal
        view
        returns (bytes memory key, bytes32[4] memory possession)
    {
        key = Signing.publicKey(secret);
        possession = Signing.possession(secret, obls.possessionMessage(controller, key));
    }

    function registerReverts(address controller, bytes memory key, bytes32[4] memory possession, bytes memory reason)
        internal
    {
        vm.prank(controller);
        vm.expectRevert(reason);
        obls.register(key, possession, address(0x51));
    }

    function test_rogue_possession() public {
        address rogue = address(0xbad);
        bytes memory invalid = abi.encodeWithSelector(IOBLS.PossessionInvalid.selector);
        (bytes memory key, bytes32[4] memory possession) = candidate(42, rogue);
        // rogue key: the difference of a chosen key and another operator's; nobody knows its secret
        bytes memory other = Signing.publicKey(operators[0].secret);
        bytes memory mine = Signing.publicKey(addmod(42, Signing.R - operators[0].secret, Signing.R));
        check(keccak256(other) != keccak256(mine), "another key");
        registerReverts(rogue, mine, possession, invalid);
        // somebody else's proof, another controller's, a vote instead of a proof
        registerReverts(address(0xc), key, possession, invalid);
        bytes32[4] memory vote = Signing.vote(42, obls.possessionMessage(rogue, key));
        registerReverts(rogue, key, vote, invalid);
        // another chain's
        vm.chainId(5);
        registerReverts(rogue, key, possession, invalid);
        vm.chainId(31337);
        vm.prank(rogue);
        obls.register(key, possession, address(0x51));
    }

    function test_infinity() public {
        address rogue = address(0xbad);
        (bytes memory key, bytes32[4] memory possession) = candidate(42, rogue);
        bytes32[4] memory infinity;
        registerReverts(rogue, new bytes(256), infinity, abi.encodeWithSelector(IOBLS.KeyAtInfinity.selector));
        registerReverts(rogue, new bytes(256), possession, abi.encodeWithSelector(IOBLS.KeyAtInfinity.selector));
        registerReverts(rogue, key, infinity, abi.encodeWithSelector(IOBLS.PossessionInvalid.selector));
    }

    function test_malformed_keys() public {
        address rogue = address(0xbad);
        (bytes memory key, bytes32[4] memory possession) = candidate(42, rogue);
        bytes memory invalid = abi.encodeWithSelector(IOBLS.PossessionInvalid.selector);
        registerReverts(rogue, new bytes(192), possession, abi.encodeWithSelector(IOBLS.KeyMalformed.selector));
        key[0] = 0x01; // padding
        registerReverts(rogue, key, possession, invalid);
        key[0] = 0x00;
        key[255] ^= 0x01; // off the curve
        registerReverts(rogue, key, possession, invalid);
    }

    /// A point of the twist that is not in the subgroup: y^2 = x^3 + 4(1+u) at x = 2 has such a point (cofactor is huge).
    function test_key_outside_the_subgroup() public {
        // MAP_FP2_TO_G2 clears the cofactor, so take a point by its coordinates: found with noble, checked on the curve by G2ADD.
        string memory json = vm.readFile("test/vectors/bls.json");
        bytes memory key = vm.parseJsonBytes(json, ".outsideSubgroup.g2");
        (bool onCurve,) = address(0x0d).staticcall(abi.encodePacked(key, new bytes(256)));
        check(onCurve, "on the curve");
        (, bytes32[4] memory possession) = candidate(42, address(0xbad));
        registerReverts(address(0xbad), key, possession, abi.encodeWithSelector(IOBLS.PossessionInvalid.selector));
        // and a signature outside its subgroup
        bytes memory point = vm.parseJsonBytes(json, ".outsideSubgroup.g1");
        (onCurve,) = address(0x0b).staticcall(abi.encodePacked(point, new bytes(128)));
        check(onCurve, "on the curve");
        vm.expectRevert(IOBLS.SignatureInvalid.selector);
        obls.verify(1, keccak256("m"), hex"1f", abi.decode(point, (bytes32[4])));
    }

    function test_registered_once() public {
        (bytes memory key, bytes32[4] memory possession) = candidate(operators[0].secret, address(0xbad));
        registerReverts(
            address(0xbad), key, possession, abi.encodeWithSelector(IOBLS.KeyInUse.selector, keccak256(key))
        );
        (key, possession) = candidate(42, operators[0].controller);
        registerReverts(
            operators[0].controller,
            key,
            possession,
            abi.encodeWithSelector(IOBLS.AlreadyRegistered.selector, operators[0].controller)
        );
        (key, possession) = candidate(42, address(0xd));
        vm.prank(address(0xd));
        vm.expectRevert(abi.encodeWithSelector(IOBLS.SignerInUse.selector, operators[1].signer));
        obls.register(key, possession, operators[1].signer);
        vm.prank(address(0xd));
        vm.expectRevert(IOBLS.SignerZero.selector);
        obls.register(key, possession, address(0));
    }

    function test_rights() public {
        vm.startPrank(address(0xbad));
        bytes memory only = abi.encodeWithSelector(IOBLS.OnlyPowerSource.selector, address(0xbad));
        vm.expectRevert(only);
        obls.setVotingPower(new address[](0), new uint96[](0));
        vm.expectRevert(only);
        obls.setJailed(operators[0].controller, true);
        vm.expectRevert(only);
        obls.commitSet();
        vm.expectRevert();
        obls.setPowerSource(address(0xbad));
        vm.expectRevert();
        obls.setGraceSeconds(1);
        vm.expectRevert(abi.encodeWithSelector(IOBLS.NotRegistered.selector, address(0xbad)));
        obls.setSigner(address(1));
        vm.stopPrank();
    }

    function test_members_and_signer_change() public {
        setPower(operators[1].controller, 0);
        obls.setJailed(operators[2].controller, true);
        vm.prank(operators[3].controller);
        obls.setSigner(address(0x333));
        check(obls.isMember(1, operators[3].signer) && !obls.isMember(1, address(0x333)), "sets do not change");
        check(!obls.isMember(1, operators[2].signer), "but for the jailed");
        uint32 id = obls.commitSet();
        Member[] memory members = obls.membersOf(id);
        eq(members.length, 3, "members");
        eq(members[0].controller, operators[0].controller, "order of registration");
        eq(members[1].controller, operators[3].controller, "order of registration");
        eq(members[1].signer, address(0x333), "new signer");
        eq(members[2].power, 100, "power");
        eq(keccak256(members[2].key), keccak256(Signing.publicKey(operators[4].secret)), "key");
        Set memory set = obls.setOf(1);
        check(set.supersededAt == block.timestamp && set.size == 5 && set.totalPower == 500, "set 1");
        vm.expectRevert(abi.encodeWithSelector(IOBLS.SetUnknown.selector, 3));
        obls.membersOf(3);
    }

    /// Every subset of five: few signers are added up, many are what is left of all.
    function test_every_subset() public {
        bytes32 message = keccak256("subset");
        for (uint256 mask = 1; mask < 32; ++mask) {
            uint256 secret;
            uint256 count;
            for (uint256 i = 0; i < 5; ++i) {
                if (mask & (1 << i) == 0) continue;
                secret = addmod(secret, operators[i].secret, Signing.R);
                ++count;
            }
            bytes32[4] memory signature = Signing.vote(secret, message);
            (uint256 signed, uint256 total) = obls.verify(1, message, abi.encodePacked(uint8(mask)), signature);
            check(signed == 100 * count && total == 500, "power");
            for (uint256 other = 1; other < 32; ++other) {
                if (other == mask || mask > 3) continue;
                vm.expectRevert(IOBLS.SignatureInvalid.selector);
                obls.verify(1, message, abi.encodePacked(uint8(other)), signature);
            }
        }
    }

    function test_another_message() public {
        bytes32[4] memory signature = Signing.vote(operators[0].secret, keccak256("a"));
        vm.expectRevert(IOBLS.SignatureInvalid.selector);
        obls.verify(1, keccak256("b"), hex"01", signature);
        // a proof of possession is no vote
        signature = Signing.possession(operators[0].secret, keccak256("a"));
        vm.expectRevert(IOBLS.SignatureInvalid.selector);
        obls.verify(1, keccak256("a"), hex"01", signature);
    }

    /// Two operators whose keys cancel: their sum is infinity, and with it anything would verify.
    function test_keys_that_cancel() public {
        uint256 secret = Signing.R - operators[0].secret;
        (bytes memory key, bytes32[4] memory possession) = candidate(secret, address(0xbad));
        vm.prank(address(0xbad));
        obls.register(key, possession, address(0x51));
        setPower(address(0xbad), 100);
        uint32 id = obls.commitSet();
        bytes32[4] memory any = Signing.vote(7, keccak256("m"));
        vm.expectRevert(IOBLS.AggregateAtInfinity.selector);
        obls.verify(id, keccak256("m"), hex"21", any);
        // and a set whose aggregate is infinity still verifies others
        for (uint256 i = 1; i < 5; ++i) {
            setPower(operators[i].controller, 0);
        }
        id = obls.commitSet();
        obls.verify(id, keccak256("m"), hex"01", Signing.vote(operators[0].secret, keccak256("m")));
    }

    /// More than one chunk of code: 130 members, jailed ones among them in both halves.
    function test_set_of_several_chunks() public {
        for (uint256 i = 5; i < 130; ++i) {
            addOperator(i, uint96(i));
        }
        uint32 id = obls.commitSet();
        eq(obls.setOf(id).keys.length, 2, "chunks");
        Member[] memory members = obls.membersOf(id);
        for (uint256 i = 0; i < 130; i += 43) {
            eq(members[i].controller, operators[i].controller, "controller");
            eq(members[i].signer, operators[i].signer, "signer");
            eq(keccak256(members[i].key), keccak256(Signing.publicKey(operators[i].secret)), "key");
        }
        check(obls.isMember(id, operators[129].signer), "the last member");
        uint256[] memory few = new uint256[](3);
        (few[0], few[1], few[2]) = (2, 64, 129);
        Certificate memory c = certify(keccak256("m"), few);
        (uint256 signed, uint256 total) = obls.verify(id, keccak256("m"), c.signers, c.signature);
        eq(signed, 100 + 64 + 129, "signed");
        obls.setJailed(operators[129].controller, true);
        obls.setJailed(operators[64].controller, true);
        uint256 before = total;
        (signed, total) = obls.verify(id, keccak256("m"), c.signers, c.signature);
        check(signed == 100 && total == before - 64 - 129, "jailed count zero");
        eq(obls.jailedOf(id)[0], (1 << 64) | (1 << 129), "jailed bits");
        c = certify(keccak256("m"), firstOf(128)); // all but two
        obls.verify(id, keccak256("m"), c.signers, c.signature);
    }
}
