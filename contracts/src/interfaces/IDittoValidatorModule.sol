// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What an account allows under an identifier (the session key signs nothing).
/// @param validAfter unix seconds, inclusive
/// @param validUntil unix seconds, inclusive; 0 means no end
/// @param policyHash keccak256 of a policy published in the WorkflowRegistry, checked by operators
struct Session {
    address sessionKey;
    uint48 validAfter;
    uint48 validUntil;
    bytes32 policyHash;
}

/// @title What the hook and operators need from the validator module.
interface IDittoValidatorModule {
    event SessionEnabled(address indexed account, address indexed sessionKey, Session session);
    event SessionRevoked(address indexed account, address indexed sessionKey);

    error OnlyHook(address caller);
    error OnlySender(address caller, address sender);
    error AlreadyInstalled(address account);
    error NotInstalled(address account);
    error SessionKeyZero();
    error SessionWindowEmpty(uint48 validAfter, uint48 validUntil);
    error SessionUnknown(address account, address sessionKey);
    error SignatureLength(uint256 length);
    error TooManySessions(uint256 limit);
    error OccurrenceAlreadySpent(address account, uint256 sessionNonce);
    error LengthMismatch(uint256 accounts, uint256 nonces);

    function enableSession(Session calldata session) external;
    function revokeSession(address sessionKey) external;
    function sessionKeysOf(address account) external view returns (address[] memory);
    function sessionOf(address account, address sessionKey) external view returns (Session memory);

    /// @notice Approves consents (hashStruct(UserOpConsent)) for the rest of the transaction. Only the hook.
    function authorize(bytes32[] calldata consents) external;

    /// @notice Withdraws approvals. Only the hook.
    function clear(bytes32[] calldata consents) external;

    /// @notice Words of an account's bitmap of spent occurrences: bit `n & 255` of word `n >> 8` is occurrence `n`.
    /// @param first the first word's number
    /// @param count how many
    function spentWords(address account, uint256 first, uint256 count) external view returns (uint256[] memory words);

    function isSpent(address account, uint256 sessionNonce) external view returns (bool);
    function spent(address[] calldata accounts, uint256[] calldata sessionNonces) external view returns (bool[] memory);
    function hook() external view returns (address);
}
