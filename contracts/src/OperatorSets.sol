// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Bls} from "./Bls.sol";
import {CodeStore} from "./CodeStore.sol";
import {Committee} from "./Committee.sol";
import {IOBLS, Set, Member, Electorate} from "./interfaces/IOBLS.sol";

/// @title Numbered snapshots of the operators, and verification of aggregated signatures against them.
/// @notice A snapshot is kept as contract code, for code reads at 3 gas a word what storage reads at 2,100:
///
///         header   192                      sum of all keys (compact G2)
///         roster   32 * size, padded to a   signer (20) ‖ power (12) of every member
///                  multiple of 192
///         keys     192 * size               compact G2
///         names    20 * size                controllers
///
///         in chunks of 127 * 192 bytes, so that no key straddles two. Verification reads the header and the roster, and of the keys only
///         the signers' or the non-signers', whichever are fewer.
abstract contract OperatorSets is IOBLS {
    /// @notice Most members of a set: header and roster must fit the first chunk, which 756 would.
    uint256 public constant MAX_MEMBERS = 512;

    uint256 private constant CHUNK = 127 * 192;
    uint256 private constant HEADER = 192;

    /// One storage slot.
    struct State {
        address powerSource;
        uint32 currentSetId;
        uint32 graceSeconds;
        uint32 jailedCount;
    }

    struct Snapshot {
        uint64 createdAtBlock;
        uint64 supersededAt;
        uint32 size;
        uint96 totalPower;
        bytes32 randomness;
        mapping(uint256 index => address) chunks;
        mapping(uint256 word => uint256) jailed;
    }

    /// An operator about to become a member; `key` is the contract that holds its compact key.
    struct Draft {
        address controller;
        address signer;
        uint96 power;
        address key;
    }

    State internal _state;
    mapping(uint32 setId => Snapshot) private _sets;

    // ---------------------------------------------------------------- reading

    /// @inheritdoc IOBLS
    function currentSetId() external view returns (uint32) {
        return _state.currentSetId;
    }

    /// @inheritdoc IOBLS
    function graceSeconds() external view returns (uint64) {
        return _state.graceSeconds;
    }

    /// @inheritdoc IOBLS
    function isAccepted(uint32 setId) external view returns (bool) {
        State memory state = _state;
        if (setId == 0) return false;
        if (setId == state.currentSetId) return true;
        return
            setId + 1 == state.currentSetId
                && block.timestamp <= uint256(_sets[setId].supersededAt) + state.graceSeconds;
    }

    /// @inheritdoc IOBLS
    function setOf(uint32 setId) external view returns (Set memory set) {
        Snapshot storage snapshot = _known(setId);
        uint256 chunks = _chunkCount(snapshot.size);
        address[] memory keys = new address[](chunks);
        for (uint256 i = 0; i < chunks; ++i) {
            keys[i] = snapshot.chunks[i];
        }
        return Set(
            snapshot.createdAtBlock, snapshot.supersededAt, snapshot.size, snapshot.totalPower, keys, snapshot.randomness
        );
    }

    /// @inheritdoc IOBLS
    function membersOf(uint32 setId) external view returns (Member[] memory members) {
        Snapshot storage snapshot = _known(setId);
        uint256 size = snapshot.size;
        bytes memory blob = new bytes(_blobSize(size) + 32);
        uint256 blobAt = _at(blob);
        for (uint256 i = 0; i < _chunkCount(size); ++i) {
            CodeStore.copyTo(snapshot.chunks[i], 0, CodeStore.sizeOf(snapshot.chunks[i]), blobAt + i * CHUNK);
        }
        members = new Member[](size);
        for (uint256 i = 0; i < size; ++i) {
            uint256 entry = _word(blobAt + HEADER + 32 * i);
            bytes memory key = new bytes(Bls.G2_SIZE);
            Bls.expandG2(blobAt + _keyOffset(size, i), _at(key));
            address controller = address(bytes20(bytes32(_word(blobAt + _nameOffset(size, i)))));
            members[i] = Member(controller, address(uint160(entry >> 96)), uint96(entry), key);
        }
    }

    /// @inheritdoc IOBLS
    function jailedOf(uint32 setId) external view returns (uint256[] memory words) {
        Snapshot storage snapshot = _known(setId);
        words = new uint256[]((uint256(snapshot.size) + 255) / 256);
        for (uint256 i = 0; i < words.length; ++i) {
            words[i] = snapshot.jailed[i];
        }
    }

    /// @inheritdoc IOBLS
    function isMember(uint32 setId, address signer) external view returns (bool) {
        Snapshot storage snapshot = _known(setId);
        uint256 size = snapshot.size;
        uint256 roster = _at(_readRoster(snapshot, size)) + HEADER;
        for (uint256 i = 0; i < size; ++i) {
            if (_word(roster + 32 * i) >> 96 == uint160(signer)) {
                return _state.jailedCount == 0 || !_isJailed(snapshot, i);
            }
        }
        return false;
    }

    // ---------------------------------------------------------------- verification

    /// @inheritdoc IOBLS
    function verify(uint32 setId, bytes32 message, bytes calldata signers, bytes32[4] calldata signature)
        external
        view
        returns (uint256 signedPower, uint256 totalPower)
    {
        (Snapshot storage snapshot, uint256 blob, uint256 size) = _open(setId, signers, signature);
        totalPower = snapshot.totalPower;
        uint256 count;
        (signedPower, count) = _sumPower(blob + HEADER, size, signers);
        require(count != 0, NoSigners());
        if (_state.jailedCount != 0) {
            (signedPower, totalPower) = _withoutJailed(snapshot, blob + HEADER, size, signers, signedPower, totalPower);
        }
        _checkSignature(snapshot, blob, size, message, signers, signature, count);
    }

    /// @inheritdoc IOBLS
    function verifyAmong(
        uint32 setId,
        Electorate calldata electorate,
        bytes32 message,
        bytes calldata signers,
        bytes32[4] calldata signature
    ) external view returns (uint256 signed, uint256 total) {
        (Snapshot storage snapshot, uint256 blob, uint256 size) = _open(setId, signers, signature);
        uint256 count = Committee.popcount(signers);
        require(count != 0, NoSigners());
        uint256 entitled;
        (signed, total, entitled) = _count(snapshot, setId, blob, size, electorate, signers);
        require(entitled == count, SignersNotEntitled(count, entitled));
        _checkSignature(snapshot, blob, size, message, signers, signature, count);
    }

    /// @inheritdoc IOBLS
    function committeeOf(uint32 setId, Electorate calldata electorate) external view returns (uint16[] memory owners) {
        Snapshot storage snapshot = _known(setId);
        uint256 blob = _at(_readRoster(snapshot, snapshot.size));
        Committee.Roster memory roster = Committee.Roster(blob + HEADER, snapshot.size, electorate.minimumPower);
        (bool drawn, uint256 seats) = _draw(snapshot, setId, roster, electorate);
        if (!drawn) return owners;
        owners = new uint16[](electorate.seats);
        for (uint256 i = 0; i < owners.length; ++i) {
            owners[i] = uint16(_word(seats + 2 * i) >> 240);
        }
    }

    /// Seats or power of the signers and of all, and how many of the signers have any.
    function _count(
        Snapshot storage snapshot,
        uint32 setId,
        uint256 blob,
        uint256 size,
        Electorate calldata electorate,
        bytes calldata signers
    ) private view returns (uint256 signed, uint256 total, uint256 entitled) {
        Committee.Roster memory roster = Committee.Roster(blob + HEADER, size, electorate.minimumPower);
        (bool drawn, uint256 seats) = _draw(snapshot, setId, roster, electorate);
        if (drawn) {
            total = electorate.seats;
            (signed, entitled) = Committee.tally(seats, total, signers);
        } else {
            (signed, total, entitled) = Committee.weigh(roster, signers);
        }
        if (_state.jailedCount == 0) return (signed, total, entitled);
        uint256[2] memory jailed = [snapshot.jailed[0], snapshot.jailed[1]];
        (uint256 signedByJailed, uint256 ofJailed) = drawn
            ? Committee.jailedSeats(seats, total, signers, jailed)
            : Committee.jailedPower(roster, signers, jailed);
        return (signed - signedByJailed, total - ofJailed, entitled);
    }

    /// Draws the seats, two bytes each from memory address `seats` on; not when all that are eligible find a seat anyway.
    function _draw(
        Snapshot storage snapshot,
        uint32 setId,
        Committee.Roster memory roster,
        Electorate calldata electorate
    ) private view returns (bool drawn, uint256 seats) {
        if (electorate.seats == 0) return (false, 0);
        require(electorate.seats <= Committee.MAX_SEATS, TooManySeats(electorate.seats, Committee.MAX_SEATS));
        (uint256 count, uint256 power) =
            roster.minimum == 0 ? (roster.size, uint256(snapshot.totalPower)) : Committee.eligible(roster);
        if (count <= electorate.seats) return (false, 0);
        bytes32 seed = Committee.seedOf(snapshot.randomness, setId, electorate);
        seats = _at(new bytes(2 * uint256(electorate.seats) + 32)); // and what reading the last one as a word reaches
        Committee.draw(roster, seed, electorate.seats, power, seats);
        drawn = true;
    }

    /// Checks what can be checked without a key; reads header and roster.
    function _open(uint32 setId, bytes calldata signers, bytes32[4] calldata signature)
        private
        view
        returns (Snapshot storage snapshot, uint256 blob, uint256 size)
    {
        require((signature[0] | signature[1] | signature[2] | signature[3]) != 0, SignatureAtInfinity());
        snapshot = _known(setId);
        size = snapshot.size;
        require(signers.length == (size + 7) / 8, BitmapLength(signers.length, (size + 7) / 8));
        require(size % 8 == 0 || uint8(signers[signers.length - 1]) >> (size % 8) == 0, SignerOutOfSet(size));
        blob = _at(_readRoster(snapshot, size));
    }

    function _checkSignature(
        Snapshot storage snapshot,
        uint256 blob,
        uint256 size,
        bytes32 message,
        bytes calldata signers,
        bytes32[4] calldata signature,
        uint256 count
    ) private view {
        uint256 key = _aggregate(snapshot, blob, size, signers, count);
        require(!Bls.isInfinity(key, Bls.G2_SIZE), AggregateAtInfinity());
        require(Bls.verify(Bls.DST_VOTE, message, signature, key), SignatureInvalid());
    }

    /// Power and number of the members whose bit is set.
    function _sumPower(uint256 roster, uint256 size, bytes calldata signers)
        private
        pure
        returns (uint256 power, uint256 count)
    {
        assembly ("memory-safe") {
            for { let i := 0 } lt(i, size) { i := add(i, 1) } {
                let bit := and(shr(and(i, 7), byte(0, calldataload(add(signers.offset, shr(3, i))))), 1)
                count := add(count, bit)
                power := add(power, mul(bit, and(mload(add(roster, shl(5, i))), 0xffffffffffffffffffffffff)))
            }
        }
    }

    /// The jailed count zero: neither signed nor in the total.
    function _withoutJailed(
        Snapshot storage snapshot,
        uint256 roster,
        uint256 size,
        bytes calldata signers,
        uint256 signedPower,
        uint256 totalPower
    ) private view returns (uint256, uint256) {
        for (uint256 i = 0; i < size; ++i) {
            if (!_isJailed(snapshot, i)) continue;
            uint256 power = uint96(_word(roster + 32 * i));
            totalPower -= power;
            if (_isSigner(signers, i)) signedPower -= power;
        }
        return (signedPower, totalPower);
    }

    /// Sum of the signers' keys: the signers added, or the others subtracted from the sum of all.
    /// @return sum memory address of 256 bytes
    function _aggregate(Snapshot storage snapshot, uint256 blob, uint256 size, bytes calldata signers, uint256 count)
        private
        view
        returns (uint256 sum)
    {
        bool subtract = 2 * count > size;
        uint256 left = subtract ? size - count : count;
        sum = _at(new bytes(2 * Bls.G2_SIZE)); // infinity, and room for the next point
        uint256 compact = _at(new bytes(Bls.G2_COMPACT));
        address chunk;
        uint256 chunkIndex = type(uint256).max;
        for (uint256 i = 0; left != 0; ++i) {
            if (_isSigner(signers, i) == subtract) continue;
            --left;
            uint256 offset = _keyOffset(size, i);
            if (offset / CHUNK != chunkIndex) {
                chunkIndex = offset / CHUNK;
                chunk = snapshot.chunks[chunkIndex];
            }
            CodeStore.copyTo(chunk, offset % CHUNK, Bls.G2_COMPACT, compact);
            Bls.expandG2(compact, sum + Bls.G2_SIZE);
            Bls.addG2InPlace(sum);
        }
        if (subtract) {
            Bls.negateG2InPlace(sum);
            Bls.expandG2(blob, sum + Bls.G2_SIZE);
            Bls.addG2InPlace(sum);
        }
    }

    function _isSigner(bytes calldata signers, uint256 i) private pure returns (bool signed) {
        assembly ("memory-safe") {
            signed := and(shr(and(i, 7), byte(0, calldataload(add(signers.offset, shr(3, i))))), 1)
        }
    }

    function _isJailed(Snapshot storage snapshot, uint256 i) private view returns (bool) {
        return snapshot.jailed[i >> 8] & (1 << (i & 0xff)) != 0;
    }

    // ---------------------------------------------------------------- writing

    /// Checks a key with its proof of possession, and stores it. The pairing of the proof checks the key's subgroup.
    function _admitKey(bytes calldata key, bytes32 message, bytes32[4] calldata possession)
        internal
        returns (bool infinite, bool possessed, address chunk)
    {
        bytes memory copy = key;
        infinite = Bls.isInfinity(_at(copy), Bls.G2_SIZE);
        if (infinite || (possession[0] | possession[1] | possession[2] | possession[3]) == 0) {
            return (infinite, false, address(0));
        }
        possessed = Bls.verify(Bls.DST_POSSESSION, message, possession, _at(copy));
        bytes memory compact = new bytes(Bls.G2_COMPACT);
        Bls.compactG2(_at(copy), _at(compact));
        chunk = CodeStore.write(compact, 0, compact.length);
    }

    /// The key a contract holds, EIP-2537 encoding.
    function _keyAt(address chunk) internal view returns (bytes memory key) {
        key = new bytes(Bls.G2_SIZE);
        Bls.expandG2(_at(CodeStore.read(chunk)), _at(key));
    }

    /// Freezes the first `size` drafts as the next set.
    function _commit(Draft[] memory drafts, uint256 size) internal returns (uint32 setId) {
        require(size != 0, EmptySet());
        require(size <= MAX_MEMBERS, TooManyMembers(size, MAX_MEMBERS));
        bytes memory blob = new bytes(_blobSize(size));
        uint256 ptr = _at(blob);
        uint256 sum = _at(new bytes(2 * Bls.G2_SIZE));
        uint256 totalPower;
        for (uint256 i = 0; i < size; ++i) {
            Draft memory draft = drafts[i];
            totalPower += draft.power;
            _store(ptr + HEADER + 32 * i, uint256(uint160(draft.signer)) << 96 | draft.power);
            uint256 key = ptr + _keyOffset(size, i);
            CodeStore.copyTo(draft.key, 0, Bls.G2_COMPACT, key);
            Bls.expandG2(key, sum + Bls.G2_SIZE);
            Bls.addG2InPlace(sum);
            _storeName(ptr + _nameOffset(size, i), draft.controller);
        }
        Bls.compactG2(sum, ptr);
        require(totalPower <= type(uint96).max, PowerOverflow(totalPower));

        setId = ++_state.currentSetId;
        if (setId > 1) _sets[setId - 1].supersededAt = uint64(block.timestamp);
        Snapshot storage snapshot = _sets[setId];
        snapshot.createdAtBlock = uint64(block.number);
        snapshot.size = uint32(size);
        snapshot.totalPower = uint96(totalPower);
        // Not a block's hash: whoever builds the block can try as many of those as it likes.
        snapshot.randomness = bytes32(block.prevrandao);
        for (uint256 i = 0; i < _chunkCount(size); ++i) {
            uint256 left = blob.length - i * CHUNK;
            snapshot.chunks[i] = CodeStore.write(blob, i * CHUNK, left < CHUNK ? left : CHUNK);
        }
        emit SetCommitted(setId, uint32(size), uint96(totalPower));
    }

    /// Marks a controller in the two sets that can be accepted.
    function _markJailed(address controller, bool jailed) internal {
        if (jailed) ++_state.jailedCount;
        else --_state.jailedCount;
        uint32 current = _state.currentSetId;
        for (uint32 setId = current; setId > 0 && setId + 1 >= current; --setId) {
            Snapshot storage snapshot = _sets[setId];
            (bool found, uint256 i) = _indexOf(snapshot, controller);
            if (!found) continue;
            if (jailed) snapshot.jailed[i >> 8] |= 1 << (i & 0xff);
            else snapshot.jailed[i >> 8] &= ~(1 << (i & 0xff));
        }
    }

    function _indexOf(Snapshot storage snapshot, address controller) private view returns (bool, uint256) {
        uint256 size = snapshot.size;
        uint256 from = _nameOffset(size, 0);
        bytes memory names = new bytes(20 * size + 32);
        // The names may span chunks.
        for (uint256 read = 0; read < 20 * size;) {
            uint256 offset = from + read;
            uint256 inChunk = CHUNK - offset % CHUNK;
            uint256 length = 20 * size - read < inChunk ? 20 * size - read : inChunk;
            CodeStore.copyTo(snapshot.chunks[offset / CHUNK], offset % CHUNK, length, _at(names) + read);
            read += length;
        }
        for (uint256 i = 0; i < size; ++i) {
            if (address(bytes20(bytes32(_word(_at(names) + 20 * i)))) == controller) return (true, i);
        }
        return (false, 0);
    }

    // ---------------------------------------------------------------- layout

    function _known(uint32 setId) private view returns (Snapshot storage snapshot) {
        snapshot = _sets[setId];
        require(snapshot.size != 0, SetUnknown(setId));
    }

    /// Header and roster.
    function _readRoster(Snapshot storage snapshot, uint256 size) private view returns (bytes memory blob) {
        blob = new bytes(HEADER + 32 * size);
        CodeStore.copyTo(snapshot.chunks[0], 0, blob.length, _at(blob));
    }

    function _keyOffset(uint256 size, uint256 i) private pure returns (uint256) {
        unchecked {
            return HEADER + (32 * size + 191) / 192 * 192 + Bls.G2_COMPACT * i;
        }
    }

    function _nameOffset(uint256 size, uint256 i) private pure returns (uint256) {
        return _keyOffset(size, size) + 20 * i;
    }

    function _blobSize(uint256 size) private pure returns (uint256) {
        return _nameOffset(size, size);
    }

    function _chunkCount(uint256 size) private pure returns (uint256) {
        return (_blobSize(size) + CHUNK - 1) / CHUNK;
    }

    // ---------------------------------------------------------------- memory

    function _at(bytes memory data) private pure returns (uint256 ptr) {
        assembly ("memory-safe") {
            ptr := add(data, 0x20)
        }
    }

    function _word(uint256 ptr) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(ptr)
        }
    }

    function _store(uint256 ptr, uint256 word) private pure {
        assembly ("memory-safe") {
            mstore(ptr, word)
        }
    }

    /// Writes 20 bytes and nothing after them.
    function _storeName(uint256 ptr, address controller) private pure {
        assembly ("memory-safe") {
            mstore(0, shl(96, controller))
            mcopy(ptr, 0, 20)
        }
    }
}
