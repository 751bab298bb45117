// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A vault whose share of the risky asset its owner moves; for demonstrations. Every caller has a vault of its own.
contract DemoVault {
    /// @notice Share of the risky asset, in basis points.
    mapping(address owner => uint256) public allocationBps;
    mapping(address owner => uint256) public rebalances;

    event Rebalanced(address indexed owner, uint256 fromBps, uint256 toBps);

    error ShareAboveWhole(uint256 targetBps);

    /// @param targetBps share of the risky asset after the rebalance, 0..10000
    function rebalance(uint256 targetBps) external {
        require(targetBps <= 10_000, ShareAboveWhole(targetBps));
        emit Rebalanced(msg.sender, allocationBps[msg.sender], targetBps);
        allocationBps[msg.sender] = targetBps;
        ++rebalances[msg.sender];
    }
}
