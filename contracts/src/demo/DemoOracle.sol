// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title An oracle that anybody can set; for demonstrations. The reading follows Chainlink's `latestAnswer`.
contract DemoOracle {
    int256 public latestAnswer;
    uint256 public updatedAt;

    event AnswerUpdated(int256 answer, uint256 timestamp);

    constructor(int256 answer) {
        set(answer);
    }

    function set(int256 answer) public {
        latestAnswer = answer;
        updatedAt = block.timestamp;
        emit AnswerUpdated(answer, block.timestamp);
    }
}
