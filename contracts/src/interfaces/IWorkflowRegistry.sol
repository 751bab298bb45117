// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice When a workflow is due. Triggers of a workflow are combined with AND.
/// @param kind 0 interval: data = abi.encode(uint64 everySlots, uint64 phase), everySlots > 0, phase < everySlots;
///             1 cron: data = UTF-8 schedule of five fields, UTC
struct Trigger {
    uint8 kind;
    bytes data;
}

/// @notice A published workflow.
/// @param account smart account it acts for, and whose publication this is
/// @param codeHash keccak256 of the published TypeScript
/// @param sessionKey identifier of the account's session in the DittoValidatorModule
/// @param triggers 1 to 8 of them
/// @param args UTF-8 JSON handed to the run, at most 8 KB
/// @param validAfter unix seconds, inclusive
/// @param validUntil unix seconds, inclusive; 0 means no end
struct Workflow {
    address account;
    bytes32 codeHash;
    address sessionKey;
    Trigger[] triggers;
    bytes args;
    uint48 validAfter;
    uint48 validUntil;
}

/// @notice One thing a session may call. `maxValue` in wei.
struct Rule {
    address target;
    bytes4 selector;
    uint256 maxValue;
}

/// @notice What a session may do; published as abi.encode(Policy), checked by operators, its hash is in the session.
/// @param maxValuePerOp wei over all calls of one operation
/// @param maxCallGas cap of the operation's callGasLimit
/// @param maxFeePerGas cap of the operation's maxFeePerGas, wei
struct Policy {
    Rule[] rules;
    uint256 maxValuePerOp;
    uint128 maxCallGas;
    uint128 maxFeePerGas;
}

/// @title Published code, policies and workflows of a target chain.
interface IWorkflowRegistry {
    event CodePublished(bytes32 indexed codeHash, uint256 size);
    event PolicyPublished(bytes32 indexed policyHash, uint256 size);
    event WorkflowPublished(uint64 indexed id, address indexed account, bytes32 indexed codeHash, Workflow workflow);
    event WorkflowCancelled(uint64 indexed id);

    error EmptyContent();
    error ContentTooLarge(uint256 size, uint256 limit);
    error UnknownContent(bytes32 contentHash);
    error PolicyMalformed();
    error UnknownWorkflow(uint64 id);
    error OnlyAccount(address account, address caller);
    error AlreadyCancelled(uint64 id);
    error SessionKeyZero();
    error TriggerCount(uint256 count, uint256 limit);
    error TriggerKindUnknown(uint256 index, uint8 kind);
    error TriggerMalformed(uint256 index);
    error ArgsTooLarge(uint256 size, uint256 limit);
    error WindowEmpty(uint48 validAfter, uint48 validUntil);

    /// @notice Stores code on chain. Publishing the same bytes again changes nothing.
    function publishCode(bytes calldata code) external returns (bytes32 codeHash);

    /// @notice The bytes behind a code hash.
    function codeOf(bytes32 codeHash) external view returns (bytes memory);

    /// @notice Stores a session policy, abi.encode(Policy). Publishing the same bytes again changes nothing.
    function publishPolicy(bytes calldata policy) external returns (bytes32 policyHash);

    /// @notice The bytes behind a policy hash.
    function policyOf(bytes32 policyHash) external view returns (bytes memory);

    /// @notice Decodes a policy, so that its shape is part of the ABI. Reverts when malformed.
    function decodePolicy(bytes calldata policy) external pure returns (Policy memory);

    /// @notice Publishes a workflow of the calling account.
    /// @return id numbered from 1
    function publish(Workflow calldata workflow) external returns (uint64 id);

    /// @notice Ends a workflow of the calling account for good.
    function cancel(uint64 id) external;

    function workflowOf(uint64 id) external view returns (Workflow memory);

    /// @notice How many were ever published; ids are 1..count.
    function count() external view returns (uint64);

    /// @notice Published, not cancelled and inside its window at this block.
    function isActive(uint64 id) external view returns (bool);

    /// @notice Cancelled by its account.
    function isCancelled(uint64 id) external view returns (bool);
}
