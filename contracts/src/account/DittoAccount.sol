// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {Account} from "@openzeppelin/contracts/account/Account.sol";
import {AccountERC7579} from "@openzeppelin/contracts/account/extensions/draft-AccountERC7579.sol";
import {IEntryPoint} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {MODULE_TYPE_VALIDATOR} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {SignerECDSA} from "@openzeppelin/contracts/utils/cryptography/signers/SignerECDSA.sol";
import {Session} from "../interfaces/IDittoValidatorModule.sol";

/// @title OpenZeppelin's AccountERC7579 on EntryPoint v0.7, with an ECDSA owner and the Ditto module installed.
/// @notice The nonce picks the validator: userOp.nonce = <validator module, 20 bytes> ‖ <lane, 4 bytes> ‖ <sequence, 8 bytes>.
///         Where the 20 bytes are no installed module (0 for one), the owner's signature of the plain userOpHash
///         (65 bytes r ‖ s ‖ v, no EIP-191 prefix) is asked for.
/// @dev Used through minimal proxies (DittoAccountFactory).
contract DittoAccount is AccountERC7579, SignerECDSA, Initializable {
    IEntryPoint private immutable _entryPoint;

    constructor(IEntryPoint entryPoint_) SignerECDSA(address(0)) {
        _entryPoint = entryPoint_;
        _disableInitializers();
    }

    /// @param owner who signs the account's own operations
    /// @param module the DittoValidatorModule
    /// @param sessions enabled from the start
    function initialize(address owner, address module, Session[] calldata sessions) external initializer {
        _setSigner(owner);
        _installModule(MODULE_TYPE_VALIDATOR, module, abi.encode(sessions));
    }

    function entryPoint() public view override returns (IEntryPoint) {
        return _entryPoint;
    }

    function accountId() public pure override returns (string memory) {
        return "ditto.account.1.0.0";
    }

    /// @dev The owner where no validator module is named.
    function _rawSignatureValidation(bytes32 hash, bytes calldata signature)
        internal
        view
        override(AccountERC7579, SignerECDSA)
        returns (bool)
    {
        return SignerECDSA._rawSignatureValidation(hash, signature);
    }
}
