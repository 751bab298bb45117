// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A target that misbehaves in every way a batch has to survive; for tests and the devnet's hostile workflow.
contract Mischief {
    error Refused(string why);

    event Reentered(bool ok, bytes returned);

    uint256 private _sink;

    /// Reverts with a reason.
    function fail(string calldata why) external pure {
        revert Refused(why);
    }

    /// Reverts with `size` bytes of data.
    function failLong(uint256 size) external pure {
        assembly ("memory-safe") {
            revert(0, size)
        }
    }

    /// Burns all the gas it is given.
    function burn() external {
        while (true) {
            ++_sink;
        }
    }

    /// Calls whatever it is told to, typically back into the contracts that are on the stack.
    function reenter(address target, bytes calldata data) external returns (bool ok, bytes memory returned) {
        (ok, returned) = target.call(data);
        emit Reentered(ok, returned);
    }
}
