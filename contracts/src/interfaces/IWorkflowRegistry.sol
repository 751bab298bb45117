// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice When a workflow is due. Triggers of a workflow are combined with AND.
/// @param kind 0 interval: data = abi.encode(uint64 everySlots, uint64 phase), everySlots > 0, phase < everySlots;
///             1 cron: data = UTF-8 schedule of five fields, UTC;
///             2 event: data = abi.encode(EventTrigger);
///             3 condition: data = abi.encode(ConditionTrigger);
///             4 limit: data = abi.encode(LimitTrigger); it fires never by itself
struct Trigger {
    uint8 kind;
    bytes data;
}

/// @notice Fires when a contract emitted a log.
/// @param chainId EIP-155 id of the chain, one that the network's operators read
/// @param emitter who emits
/// @param signature topic 0: keccak256 of the event's canonical signature
/// @param topics for topics 1 to 3 the accepted values of each; none: any
struct EventTrigger {
    uint64 chainId;
    address emitter;
    bytes32 signature;
    bytes32[][] topics;
}

/// @notice Fires when what a view function returns compares as wanted.
/// @param chainId EIP-155 id of the chain, one that the network's operators read
/// @param target the contract that is called
/// @param data call data
/// @param position which of the returned head words is compared, from 0
/// @param result how that word is read: 0 unsigned, 1 signed, 2 as the offset of bytes or a string
/// @param comparison 0 equal, 1 greater than, 2 less than, 3 greater or equal, 4 less or equal, 5 not equal, 6 one of
/// @param operands what it is compared with: one, or several for 6; 32 bytes each, for result 2 any bytes
struct ConditionTrigger {
    uint64 chainId;
    address target;
    bytes data;
    uint8 position;
    uint8 result;
    uint8 comparison;
    bytes[] operands;
}

/// @notice How often a workflow executes at most. Zero: no such limit; one of both is set.
/// @param count executions, ever
/// @param interval seconds between the slots of two executions
struct LimitTrigger {
    uint64 count;
    uint64 interval;
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

    /// @notice Decodes an event trigger, so that its shape is part of the ABI. Reverts when malformed.
    function decodeEventTrigger(bytes calldata data) external pure returns (EventTrigger memory);

    /// @notice Decodes a condition trigger, so that its shape is part of the ABI. Reverts when malformed.
    function decodeConditionTrigger(bytes calldata data) external pure returns (ConditionTrigger memory);

    /// @notice Decodes a limit, so that its shape is part of the ABI. Reverts when malformed.
    function decodeLimitTrigger(bytes calldata data) external pure returns (LimitTrigger memory);

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
