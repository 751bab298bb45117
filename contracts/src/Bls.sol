// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title BLS12-381 signatures over the EIP-2537 precompiles: signatures in G1, public keys in G2.
/// @notice Encodings are EIP-2537's: an Fp element is 64 bytes big-endian with 16 leading zero bytes; G1 is x ‖ y (128 bytes);
///         G2 is x.c0 ‖ x.c1 ‖ y.c0 ‖ y.c1 (256 bytes); infinity is all zeros.
/// @dev Hashing is RFC 9380, BLS12381G1_XMD:SHA-256_SSWU_RO_. Pointers are memory addresses, for points live in buffers here.
library Bls {
    /// @notice Domain separation of votes.
    bytes internal constant DST_VOTE = "DITTO-V01-VOTE-BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
    /// @notice Domain separation of proofs of possession.
    bytes internal constant DST_POSSESSION = "DITTO-V01-POSSESSION-BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

    uint256 internal constant G1_SIZE = 128;
    uint256 internal constant G2_SIZE = 256;
    /// @notice A G2 point without the zero bytes of its padding.
    uint256 internal constant G2_COMPACT = 192;

    // Precompiles of EIP-198, EIP-2537.
    uint256 private constant MODEXP = 0x05;
    uint256 private constant G1ADD = 0x0b;
    uint256 private constant G2ADD = 0x0d;
    uint256 private constant PAIRING_CHECK = 0x0f;
    uint256 private constant MAP_FP_TO_G1 = 0x10;

    /// A pairing of two costs 102,900. A precompile that refuses its input burns all the gas it was given, so a bad point must not be
    /// given everything; the bound leaves room for a repricing.
    uint256 private constant PAIRING_GAS_BOUND = 400_000;

    // The base field's modulus, 48 bytes: high 16, low 32.
    uint256 internal constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 internal constant P_LOW = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;

    // -G2 generator: x as in the generator, y negated.
    bytes private constant NEGATED_G2_GENERATOR = hex"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051"
        hex"c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
        hex"0000000000000000000000000000000013e02b6052719f607dacd3a088274f65"
        hex"596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
        hex"000000000000000000000000000000000d1b3cc2c7027888be51d9ef691d77bc"
        hex"b679afda66c73f17f9ee3837a55024f78c71363275a75d75d86bab79f74782aa"
        hex"0000000000000000000000000000000013fa4d4a0ad8b1ce186ed5061789213d"
        hex"993923066dddaf1040bc3ff59f825c78df74f2d75467e25e0f55f8a00fa030ed";

    error PrecompileFailed(uint256 precompile);

    /// @notice Whether `signature` (G1) is the signature of `message` under `key` (G2).
    /// @dev e(signature, -G2) * e(hash(message), key) == 1. The pairing precompile checks field range, curve and subgroup of all
    ///      points and fails on others, which counts as a bad signature here; it needs 110,000 gas. Infinity is the caller's to refuse.
    /// @param key memory address of 256 bytes
    function verify(bytes memory dst, bytes32 message, bytes32[4] calldata signature, uint256 key)
        internal
        view
        returns (bool valid)
    {
        bytes memory input = new bytes(2 * (G1_SIZE + G2_SIZE));
        bytes memory generator = NEGATED_G2_GENERATOR;
        uint256 hashed;
        assembly ("memory-safe") {
            let ptr := add(input, 0x20)
            calldatacopy(ptr, signature, 128)
            mcopy(add(ptr, 128), add(generator, 0x20), 256)
            hashed := add(ptr, 384)
            mcopy(add(ptr, 512), key, 256)
        }
        hashToG1(dst, message, hashed);
        assembly ("memory-safe") {
            valid := staticcall(PAIRING_GAS_BOUND, PAIRING_CHECK, add(input, 0x20), 768, 0, 0x20)
            valid := and(valid, eq(returndatasize(), 0x20))
            valid := and(valid, eq(mload(0), 1))
        }
    }

    /// @notice RFC 9380 hash_to_curve of 32 bytes, written to the 128 bytes at `to`.
    function hashToG1(bytes memory dst, bytes32 message, uint256 to) internal view {
        bytes memory dstPrime = abi.encodePacked(dst, uint8(dst.length));
        // expand_message_xmd to 128 bytes: Z_pad (one SHA-256 block) ‖ message ‖ I2OSP(128, 2) ‖ I2OSP(0, 1) ‖ DST_prime
        bytes32 b0 = sha256(abi.encodePacked(bytes32(0), bytes32(0), message, uint16(128), uint8(0), dstPrime));
        bytes32 b1 = sha256(abi.encodePacked(b0, uint8(1), dstPrime));
        bytes32 b2 = sha256(abi.encodePacked(b0 ^ b1, uint8(2), dstPrime));
        bytes32 b3 = sha256(abi.encodePacked(b0 ^ b2, uint8(3), dstPrime));
        bytes32 b4 = sha256(abi.encodePacked(b0 ^ b3, uint8(4), dstPrime));
        uint256 failed;
        assembly ("memory-safe") {
            // hash_to_field: each half (64 bytes) modulo p, by MODEXP with exponent 1; a 64-byte modulus gives a 64-byte result.
            let buffer := mload(0x40)
            function mapHalf(scratch, high, low, into) -> wrong {
                mstore(scratch, 64)
                mstore(add(scratch, 0x20), 1)
                mstore(add(scratch, 0x40), 64)
                mstore(add(scratch, 0x60), high)
                mstore(add(scratch, 0x80), low)
                mstore8(add(scratch, 0xa0), 1)
                mstore(add(scratch, 0xa1), P_HIGH)
                mstore(add(scratch, 0xc1), P_LOW)
                if iszero(staticcall(gas(), MODEXP, scratch, 0xe1, scratch, 0x40)) { wrong := MODEXP }
                if iszero(staticcall(gas(), MAP_FP_TO_G1, scratch, 0x40, into, 0x80)) {
                    wrong := MAP_FP_TO_G1
                }
            }
            failed := mapHalf(add(buffer, 0x100), b1, b2, buffer)
            failed := or(failed, mapHalf(add(buffer, 0x100), b3, b4, add(buffer, 0x80)))
            if iszero(staticcall(gas(), G1ADD, buffer, 0x100, to, 0x80)) { failed := G1ADD }
        }
        require(failed == 0, PrecompileFailed(failed));
    }

    /// @notice Adds the G2 point at `from + 256` to the one at `from`, in place. The buffer is 512 bytes.
    function addG2InPlace(uint256 from) internal view {
        bool ok;
        assembly ("memory-safe") {
            ok := staticcall(gas(), G2ADD, from, 512, from, 256)
        }
        require(ok, PrecompileFailed(G2ADD));
    }

    /// @notice Negates the G2 point at `ptr` in place: y becomes p - y. Infinity stays infinity.
    function negateG2InPlace(uint256 ptr) internal pure {
        if (isInfinity(ptr, G2_SIZE)) return;
        _negateFp(ptr + 128);
        _negateFp(ptr + 192);
    }

    /// @notice Whether the `size` bytes at `ptr` are all zero.
    function isInfinity(uint256 ptr, uint256 size) internal pure returns (bool zero) {
        uint256 any;
        assembly ("memory-safe") {
            for { let end := add(ptr, size) } lt(ptr, end) { ptr := add(ptr, 0x20) } { any := or(any, mload(ptr)) }
        }
        return any == 0;
    }

    /// @notice Writes the 192-byte form of the G2 point at `from` to `to`. Reverts are the caller's: padding must be zero.
    function compactG2(uint256 from, uint256 to) internal pure {
        assembly ("memory-safe") {
            for { let i := 0 } lt(i, 4) { i := add(i, 1) } {
                mcopy(add(to, mul(i, 48)), add(from, add(shl(6, i), 16)), 48)
            }
        }
    }

    /// @notice Writes the 256-byte form of the compact G2 point at `from` to `to`. The two must not overlap.
    function expandG2(uint256 from, uint256 to) internal pure {
        assembly ("memory-safe") {
            mstore(to, shr(128, mload(from)))
            mstore(add(to, 0x20), mload(add(from, 16)))
            mstore(add(to, 0x40), shr(128, mload(add(from, 48))))
            mstore(add(to, 0x60), mload(add(from, 64)))
            mstore(add(to, 0x80), shr(128, mload(add(from, 96))))
            mstore(add(to, 0xa0), mload(add(from, 112)))
            mstore(add(to, 0xc0), shr(128, mload(add(from, 144))))
            mstore(add(to, 0xe0), mload(add(from, 160)))
        }
    }

    /// p - y of the Fp element at `ptr`, in place; zero stays zero.
    function _negateFp(uint256 ptr) private pure {
        assembly ("memory-safe") {
            let high := mload(ptr)
            let low := mload(add(ptr, 0x20))
            if or(high, low) {
                mstore(ptr, sub(sub(P_HIGH, high), gt(low, P_LOW)))
                mstore(add(ptr, 0x20), sub(P_LOW, low))
            }
        }
    }
}
