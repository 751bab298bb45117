// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IEntryPoint} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {DittoAccount} from "./DittoAccount.sol";
import {Session} from "../interfaces/IDittoValidatorModule.sol";

/// @title Creates DittoAccounts as minimal proxies at addresses known beforehand (CREATE2).
/// @notice The address depends on everything the account starts with, so nobody can take it with another owner.
contract DittoAccountFactory {
    address public immutable implementation;

    event AccountCreated(address indexed account, address indexed owner);

    constructor(IEntryPoint entryPoint) {
        implementation = address(new DittoAccount(entryPoint));
    }

    /// @notice Creates the account, or returns it when it exists.
    function createAccount(address owner, address module, Session[] calldata sessions, bytes32 salt)
        external
        returns (address account)
    {
        account = accountOf(owner, module, sessions, salt);
        if (account.code.length != 0) return account;
        Clones.cloneDeterministic(implementation, _salt(owner, module, sessions, salt));
        DittoAccount(payable(account)).initialize(owner, module, sessions);
        emit AccountCreated(account, owner);
    }

    /// @notice Where createAccount with these arguments puts it.
    function accountOf(address owner, address module, Session[] calldata sessions, bytes32 salt)
        public
        view
        returns (address)
    {
        return Clones.predictDeterministicAddress(implementation, _salt(owner, module, sessions, salt));
    }

    function _salt(address owner, address module, Session[] calldata sessions, bytes32 salt)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(owner, module, sessions, salt));
    }
}
