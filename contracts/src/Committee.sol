// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Electorate, IOBLS} from "./interfaces/IOBLS.sol";

/// @title Who of a set counts, and how much, where a task definition bounds its attesters.
/// @notice A member counts when its power at the snapshot is at least the definition's minimum. When more count than the definition
///         has seats, the seats are drawn for the slot, by power: the line of all eligible power is cut into as many equal
///         stretches as there are seats, and a point is drawn on each; the member on whose share it falls has the seat. So
///         nobody's seats differ from its share by two or more, and one walk along the line finds all owners.
/// @dev Works on a roster in memory: one word per member, its low 96 bits the power. Same numbers: core/src/committee.rs.
library Committee {
    /// @notice Most seats. A seat costs about 380 gas to draw and count, so a draw stays below 100,000; and who signs for it 1,450 each.
    uint256 internal constant MAX_SEATS = 256;

    bytes32 internal constant DOMAIN = keccak256("DITTO-V01-COMMITTEE");

    uint256 private constant POWER = 0xffffffffffffffffffffffff;

    /// A roster, and what is asked of it.
    struct Roster {
        uint256 at;
        uint256 size;
        uint256 minimum;
    }

    /// @notice How many members have the minimum, and how much power they have.
    function eligible(Roster memory roster) internal pure returns (uint256 count, uint256 power) {
        (uint256 at, uint256 size, uint256 minimum) = (roster.at, roster.size, roster.minimum);
        assembly ("memory-safe") {
            for { let end := add(at, shl(5, size)) } lt(at, end) { at := add(at, 0x20) } {
                let own := and(mload(at), POWER)
                if iszero(lt(own, minimum)) {
                    count := add(count, 1)
                    power := add(power, own)
                }
            }
        }
    }

    /// @notice What a slot's draw starts from.
    /// @param randomness the set's; less than 2^64 is a chain's that has none (EIP-4399)
    function seedOf(bytes32 randomness, uint32 setId, Electorate calldata electorate) internal pure returns (bytes32) {
        require(uint256(randomness) >> 64 != 0, IOBLS.NoRandomness(setId));
        return keccak256(abi.encode(DOMAIN, randomness, setId, electorate.slot, electorate.taskDefinitionId));
    }

    /// @notice The owner of every seat, ascending; two bytes each, in memory at `to`.
    /// @param power all eligible power, of more than `seats` members
    function draw(Roster memory roster, bytes32 seed, uint256 seats, uint256 power, uint256 to) internal pure {
        (uint256 at, uint256 minimum) = (roster.at, roster.minimum);
        assembly ("memory-safe") {
            // In parts of a unit of power, as many as there are seats: so the stretches are equally long, and whole.
            let member := 0
            let upTo := and(mload(at), POWER)
            upTo := mul(upTo, mul(iszero(lt(upTo, minimum)), seats))
            let low := 0
            mstore(0, seed)
            for { let seat := 0 } lt(seat, seats) { seat := add(seat, 1) } {
                mstore(0x20, seat)
                // 256 bits are reduced by at most 96: no point is likelier than another by more than 2^-160.
                let point := add(low, mod(keccak256(0, 0x40), power))
                low := add(low, power)
                for {} iszero(lt(point, upTo)) {} {
                    member := add(member, 1)
                    let own := and(mload(add(at, shl(5, member))), POWER)
                    if iszero(lt(own, minimum)) { upTo := add(upTo, mul(own, seats)) }
                }
                mstore8(to, shr(8, member))
                mstore8(add(to, 1), member)
                to := add(to, 2)
            }
        }
    }

    /// @notice Adds up the seats drawn into memory at `seatsAt`.
    /// @return signed seats of the signers
    /// @return entitled signers with a seat
    function tally(uint256 seatsAt, uint256 seats, bytes calldata signers)
        internal
        pure
        returns (uint256 signed, uint256 entitled)
    {
        assembly ("memory-safe") {
            let last := not(0)
            for { let end := add(seatsAt, shl(1, seats)) } lt(seatsAt, end) { seatsAt := add(seatsAt, 2) } {
                let member := shr(240, mload(seatsAt))
                let bit := and(shr(and(member, 7), byte(0, calldataload(add(signers.offset, shr(3, member))))), 1)
                signed := add(signed, bit)
                entitled := add(entitled, and(bit, iszero(eq(member, last))))
                last := member
            }
        }
    }

    /// @notice Adds up the power of eligible members instead.
    function weigh(Roster memory roster, bytes calldata signers)
        internal
        pure
        returns (uint256 signed, uint256 total, uint256 entitled)
    {
        (uint256 at, uint256 size, uint256 minimum) = (roster.at, roster.size, roster.minimum);
        assembly ("memory-safe") {
            for { let member := 0 } lt(member, size) { member := add(member, 1) } {
                let own := and(mload(add(at, shl(5, member))), POWER)
                if iszero(lt(own, minimum)) {
                    let bit := and(shr(and(member, 7), byte(0, calldataload(add(signers.offset, shr(3, member))))), 1)
                    entitled := add(entitled, bit)
                    total := add(total, own)
                    signed := add(signed, mul(own, bit))
                }
            }
        }
    }

    /// @notice What of `tally` is the jailed members', one bit per member.
    function jailedSeats(uint256 seatsAt, uint256 seats, bytes calldata signers, uint256[2] memory jailed)
        internal
        pure
        returns (uint256 signed, uint256 total)
    {
        for (uint256 seat = 0; seat < seats; ++seat) {
            uint256 member;
            assembly ("memory-safe") {
                member := shr(240, mload(add(seatsAt, shl(1, seat))))
            }
            if (jailed[member >> 8] >> (member & 0xff) & 1 == 0) continue;
            ++total;
            if (uint8(signers[member >> 3]) >> (member & 7) & 1 != 0) ++signed;
        }
    }

    /// @notice What of `weigh` is the jailed members'.
    function jailedPower(Roster memory roster, bytes calldata signers, uint256[2] memory jailed)
        internal
        pure
        returns (uint256 signed, uint256 total)
    {
        uint256 at = roster.at;
        for (uint256 member = 0; member < roster.size; ++member) {
            if (jailed[member >> 8] >> (member & 0xff) & 1 == 0) continue;
            uint256 own;
            assembly ("memory-safe") {
                own := and(mload(add(at, shl(5, member))), POWER)
            }
            if (own < roster.minimum) continue;
            total += own;
            if (uint8(signers[member >> 3]) >> (member & 7) & 1 != 0) signed += own;
        }
    }

    /// @notice How many bits are set.
    function popcount(bytes calldata bitmap) internal pure returns (uint256 ones) {
        assembly ("memory-safe") {
            for { let i := 0 } lt(i, bitmap.length) { i := add(i, 32) } {
                let x := calldataload(add(bitmap.offset, i))
                let left := sub(bitmap.length, i)
                if lt(left, 32) { x := shr(shl(3, sub(32, left)), x) } // what follows in calldata is not the bitmap's
                let pairs := 0x5555555555555555555555555555555555555555555555555555555555555555
                let nibbles := 0x3333333333333333333333333333333333333333333333333333333333333333
                let bytes_ := 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f
                let words := 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
                x := sub(x, and(shr(1, x), pairs))
                x := add(and(x, nibbles), and(shr(2, x), nibbles))
                x := and(add(x, shr(4, x)), bytes_)
                x := add(and(x, words), and(shr(8, x), words))
                // Two bytes a piece, for 256 ones do not fit one.
                ones := add(ones, shr(240, mul(x, 0x0001000100010001000100010001000100010001000100010001000100010001)))
            }
        }
    }
}
