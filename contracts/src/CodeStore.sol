// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Keeps bytes as the code of contracts without behaviour.
/// @notice Reading code costs 2,600 gas once per contract and transaction and 3 per word, where storage costs 2,100 per word.
/// @dev A stored contract is STOP (0x00) followed by the data, so a call of it does nothing. Code is at most 24,576 bytes (EIP-170).
library CodeStore {
    /// @notice Most data bytes of one contract.
    uint256 internal constant MAX_CHUNK = 24_575;

    error ChunkTooLarge(uint256 size);
    error DeploymentFailed();
    error ReadBeyondCode(address chunk, uint256 end);

    /// @notice Stores `data[from .. from + length)`.
    function write(bytes memory data, uint256 from, uint256 length) internal returns (address chunk) {
        require(length <= MAX_CHUNK, ChunkTooLarge(length));
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            // PUSH2 size, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN, then the code: STOP ‖ data
            mstore(buffer, shl(168, or(0x61000080600a5f395ff300, shl(64, add(length, 1)))))
            mcopy(add(buffer, 11), add(add(data, 0x20), from), length)
            chunk := create(0, buffer, add(length, 11))
        }
        require(chunk != address(0), DeploymentFailed());
    }

    /// @notice Data bytes a chunk holds.
    function sizeOf(address chunk) internal view returns (uint256) {
        return chunk.code.length - 1;
    }

    /// @notice Appends `length` data bytes from `from` on to memory at `to`, which the caller has allocated.
    function copyTo(address chunk, uint256 from, uint256 length, uint256 to) internal view {
        assembly ("memory-safe") {
            extcodecopy(chunk, to, add(from, 1), length)
        }
    }

    /// @notice Reads all data of a chunk.
    function read(address chunk) internal view returns (bytes memory data) {
        data = new bytes(sizeOf(chunk));
        uint256 to;
        assembly ("memory-safe") {
            to := add(data, 0x20)
        }
        copyTo(chunk, 0, data.length, to);
    }
}
