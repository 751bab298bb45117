// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IERC7579Validator, MODULE_TYPE_VALIDATOR} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {IDittoValidatorModule, Session} from "./interfaces/IDittoValidatorModule.sol";
import {USEROP_CONSENT_TYPEHASH} from "./TypeHashes.sol";

/// @title ERC-7579 validator: an operation is valid when the operators' certificate for it is being handed over right now.
/// @notice The hook approves consents in transient storage (EIP-1153), has the EntryPoint run the operations, and withdraws the approvals,
///         all in one transaction. Nobody can lift an approved operation out of it: before and after there is no approval.
/// @dev userOp.signature is abi.encodePacked(address sessionKey, uint256 sessionNonce, uint48 validAfter, uint48 validUntil), 64 bytes.
///      userOp.nonce is, for OpenZeppelin's AccountERC7579 5.7: <this module, 20 bytes> ‖ <lane, 4 bytes> ‖ <sequence, 8 bytes>; the EntryPoint's
///      192-bit nonce key is the first 24 bytes.
///      The innermost key of every mapping is the account, so that storage is "associated" with it (ERC-7562).
contract DittoValidatorModule is IDittoValidatorModule, IERC7579Validator {
    /// @notice Sessions of one account; bounds the work of uninstalling.
    uint256 public constant MAX_SESSIONS = 64;

    /// @dev ERC-4337: the authorizer field of validationData when the signature does not authorize the operation.
    uint256 private constant SIG_VALIDATION_FAILED = 1;
    bytes4 private constant ERC1271_INVALID = 0xffffffff;

    struct Grant {
        uint48 validAfter;
        uint48 validUntil;
        bool enabled;
        bytes32 policyHash;
    }

    /// @inheritdoc IDittoValidatorModule
    address public immutable hook;

    mapping(address account => bool) private _installed;
    mapping(address sessionKey => mapping(address account => Grant)) private _grants;
    mapping(address account => address[]) private _sessionKeys;
    mapping(uint256 word => mapping(address account => uint256)) private _spent;

    constructor(address hook_) {
        hook = hook_;
    }

    modifier onlyHook() {
        require(msg.sender == hook, OnlyHook(msg.sender));
        _;
    }

    // ---------------------------------------------------------------- approvals

    /// @inheritdoc IDittoValidatorModule
    function authorize(bytes32[] calldata consents) external onlyHook {
        assembly ("memory-safe") {
            let end := add(consents.offset, shl(5, consents.length))
            for { let ptr := consents.offset } lt(ptr, end) { ptr := add(ptr, 0x20) } { tstore(calldataload(ptr), 1) }
        }
    }

    /// @inheritdoc IDittoValidatorModule
    function clear(bytes32[] calldata consents) external onlyHook {
        assembly ("memory-safe") {
            let end := add(consents.offset, shl(5, consents.length))
            for { let ptr := consents.offset } lt(ptr, end) { ptr := add(ptr, 0x20) } { tstore(calldataload(ptr), 0) }
        }
    }

    // ---------------------------------------------------------------- validation

    /// @notice Validates an operation of the calling account (ERC-4337, called by way of the account).
    /// @dev Returns SIG_VALIDATION_FAILED only when there is no approval, as ERC-4337 wants it of a signature that does not match, so
    ///      that estimations can run without one. Everything else that is wrong reverts with its name. Windows are left to the EntryPoint:
    ///      the answer is the intersection of the consent's and the session's.
    /// @return validationData <validAfter, 6 bytes> ‖ <validUntil, 6 bytes> ‖ <0 or SIG_VALIDATION_FAILED, 20 bytes>
    function validateUserOp(PackedUserOperation calldata userOp, bytes32 userOpHash)
        external
        returns (uint256 validationData)
    {
        require(msg.sender == userOp.sender, OnlySender(msg.sender, userOp.sender));
        bytes calldata data = userOp.signature;
        require(data.length == 64, SignatureLength(data.length));

        address sessionKey = address(bytes20(data[0:20]));
        uint256 sessionNonce = uint256(bytes32(data[20:52]));
        uint256 validAfter = uint48(bytes6(data[52:58]));
        uint256 validUntil = uint48(bytes6(data[58:64]));

        Grant storage grant = _grants[sessionKey][msg.sender];
        (uint256 grantAfter, uint256 grantUntil, bool enabled) = (grant.validAfter, grant.validUntil, grant.enabled);
        require(enabled, SessionUnknown(msg.sender, sessionKey));

        bytes32 consent = keccak256(
            abi.encode(
                USEROP_CONSENT_TYPEHASH,
                userOpHash,
                msg.sender,
                sessionKey,
                sessionNonce,
                validAfter,
                validUntil,
                block.chainid
            )
        );
        bool approved;
        assembly ("memory-safe") {
            approved := tload(consent)
        }
        if (!approved) return SIG_VALIDATION_FAILED;

        uint256 bit = 1 << (sessionNonce & 0xff);
        uint256 word = _spent[sessionNonce >> 8][msg.sender];
        require(word & bit == 0, OccurrenceAlreadySpent(msg.sender, sessionNonce));
        _spent[sessionNonce >> 8][msg.sender] = word | bit;

        // 0 means no end, in sessions, consents and the EntryPoint alike.
        if (validUntil == 0 || (grantUntil != 0 && grantUntil < validUntil)) validUntil = grantUntil;
        if (grantAfter > validAfter) validAfter = grantAfter;
        return (validAfter << 208) | (validUntil << 160);
    }

    /// @notice Consensus signs operations, never messages: ERC-1271 is refused.
    function isValidSignatureWithSender(address, bytes32, bytes calldata) external pure returns (bytes4) {
        return ERC1271_INVALID;
    }

    /// @inheritdoc IDittoValidatorModule
    function isSpent(address account, uint256 sessionNonce) public view returns (bool) {
        return _spent[sessionNonce >> 8][account] & (1 << (sessionNonce & 0xff)) != 0;
    }

    /// @inheritdoc IDittoValidatorModule
    function spent(address[] calldata accounts, uint256[] calldata sessionNonces)
        external
        view
        returns (bool[] memory answers)
    {
        require(accounts.length == sessionNonces.length, LengthMismatch(accounts.length, sessionNonces.length));
        answers = new bool[](accounts.length);
        for (uint256 i = 0; i < accounts.length; ++i) {
            answers[i] = isSpent(accounts[i], sessionNonces[i]);
        }
    }

    /// @inheritdoc IDittoValidatorModule
    function spentWords(address account, uint256 first, uint256 count) external view returns (uint256[] memory words) {
        words = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            words[i] = _spent[first + i][account];
        }
    }

    // ---------------------------------------------------------------- sessions

    /// @inheritdoc IDittoValidatorModule
    function enableSession(Session calldata session) external {
        require(_installed[msg.sender], NotInstalled(msg.sender));
        _enable(session);
    }

    /// @inheritdoc IDittoValidatorModule
    function revokeSession(address sessionKey) external {
        require(_grants[sessionKey][msg.sender].enabled, SessionUnknown(msg.sender, sessionKey));
        delete _grants[sessionKey][msg.sender];
        address[] storage keys = _sessionKeys[msg.sender];
        uint256 last = keys.length - 1;
        for (uint256 i = 0; i < last; ++i) {
            if (keys[i] == sessionKey) {
                keys[i] = keys[last];
                break;
            }
        }
        keys.pop();
        emit SessionRevoked(msg.sender, sessionKey);
    }

    /// @inheritdoc IDittoValidatorModule
    function sessionOf(address account, address sessionKey) external view returns (Session memory session) {
        Grant storage grant = _grants[sessionKey][account];
        require(grant.enabled, SessionUnknown(account, sessionKey));
        return Session(sessionKey, grant.validAfter, grant.validUntil, grant.policyHash);
    }

    /// @inheritdoc IDittoValidatorModule
    function sessionKeysOf(address account) external view returns (address[] memory) {
        return _sessionKeys[account];
    }

    function _enable(Session memory session) private {
        require(session.sessionKey != address(0), SessionKeyZero());
        require(
            session.validUntil == 0 || session.validAfter <= session.validUntil,
            SessionWindowEmpty(session.validAfter, session.validUntil)
        );
        Grant storage grant = _grants[session.sessionKey][msg.sender];
        if (!grant.enabled) {
            require(_sessionKeys[msg.sender].length < MAX_SESSIONS, TooManySessions(MAX_SESSIONS));
            _sessionKeys[msg.sender].push(session.sessionKey);
        }
        (grant.validAfter, grant.validUntil, grant.enabled) = (session.validAfter, session.validUntil, true);
        grant.policyHash = session.policyHash;
        emit SessionEnabled(msg.sender, session.sessionKey, session);
    }

    // ---------------------------------------------------------------- ERC-7579

    /// @param data empty, or abi.encode(Session[])
    function onInstall(bytes calldata data) external {
        require(!_installed[msg.sender], AlreadyInstalled(msg.sender));
        _installed[msg.sender] = true;
        if (data.length == 0) return;
        Session[] memory sessions = abi.decode(data, (Session[]));
        for (uint256 i = 0; i < sessions.length; ++i) {
            _enable(sessions[i]);
        }
    }

    /// @notice Ends every session of the caller. What was spent stays spent, so that installing again replays nothing.
    function onUninstall(bytes calldata) external {
        require(_installed[msg.sender], NotInstalled(msg.sender));
        address[] storage keys = _sessionKeys[msg.sender];
        for (uint256 i = keys.length; i > 0; --i) {
            address sessionKey = keys[i - 1];
            delete _grants[sessionKey][msg.sender];
            keys.pop();
            emit SessionRevoked(msg.sender, sessionKey);
        }
        _installed[msg.sender] = false;
    }

    function isModuleType(uint256 moduleTypeId) external pure returns (bool) {
        return moduleTypeId == MODULE_TYPE_VALIDATOR;
    }

    function isInitialized(address account) external view returns (bool) {
        return _installed[account];
    }
}
