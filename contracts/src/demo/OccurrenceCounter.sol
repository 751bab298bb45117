// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Counts executions per account and occurrence: the devnet's independent witness of "exactly once".
contract OccurrenceCounter {
    mapping(address account => mapping(uint256 occurrence => uint256)) public count;
    uint256 public total;

    event Recorded(address indexed account, uint256 indexed occurrence, uint256 count);

    /// @param occurrence (uint256(workflowId) << 64) | slot
    function record(uint256 occurrence) external {
        uint256 now_ = ++count[msg.sender][occurrence];
        unchecked {
            ++total;
        }
        emit Recorded(msg.sender, occurrence, now_);
    }
}
