// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CodeStore} from "./CodeStore.sol";
import {
    IWorkflowRegistry,
    Workflow,
    Trigger,
    EventTrigger,
    ConditionTrigger,
    LimitTrigger,
    Policy
} from "./interfaces/IWorkflowRegistry.sol";

/// @title Published code, session policies and workflows.
/// @notice Content is addressed by its keccak256 and kept as contract code, so every operator can fetch and check it by any node.
contract WorkflowRegistry is IWorkflowRegistry {
    /// @notice Bytes of one published code.
    uint256 public constant MAX_CODE = 128 * 1024;
    /// @notice Bytes of one published policy.
    uint256 public constant MAX_POLICY = 24 * 1024;
    /// @notice Bytes of a workflow's arguments.
    uint256 public constant MAX_ARGS = 8 * 1024;
    /// @notice Triggers of a workflow.
    uint256 public constant MAX_TRIGGERS = 8;
    /// @notice Bytes of a cron schedule.
    uint256 public constant MAX_SCHEDULE = 128;

    /// @notice Bytes of an event's or a condition's data: eight of them and the arguments still fit one stored record.
    uint256 public constant MAX_TRIGGER = 1536;

    uint8 public constant TRIGGER_INTERVAL = 0;
    uint8 public constant TRIGGER_CRON = 1;
    uint8 public constant TRIGGER_EVENT = 2;
    uint8 public constant TRIGGER_CONDITION = 3;
    uint8 public constant TRIGGER_LIMIT = 4;

    uint8 private constant COMPARISONS = 7;
    uint8 private constant COMPARISON_ONE_OF = 6;
    uint8 private constant RESULTS = 3;

    struct Record {
        address account;
        bool cancelled;
        address chunk; // abi.encode(Workflow)
    }

    uint64 public count;
    mapping(uint64 id => Record) private _records;
    mapping(bytes32 contentHash => address[]) private _content;

    /// @inheritdoc IWorkflowRegistry
    function publishCode(bytes calldata code) external returns (bytes32 codeHash) {
        bool isNew;
        (codeHash, isNew) = _store(code, MAX_CODE);
        if (isNew) emit CodePublished(codeHash, code.length);
    }

    /// @inheritdoc IWorkflowRegistry
    function publishPolicy(bytes calldata policy) external returns (bytes32 policyHash) {
        try this.decodePolicy(policy) {}
        catch {
            revert PolicyMalformed();
        }
        bool isNew;
        (policyHash, isNew) = _store(policy, MAX_POLICY);
        if (isNew) emit PolicyPublished(policyHash, policy.length);
    }

    /// @inheritdoc IWorkflowRegistry
    function codeOf(bytes32 codeHash) external view returns (bytes memory) {
        return _load(codeHash);
    }

    /// @inheritdoc IWorkflowRegistry
    function policyOf(bytes32 policyHash) external view returns (bytes memory) {
        return _load(policyHash);
    }

    /// @inheritdoc IWorkflowRegistry
    function decodePolicy(bytes calldata policy) external pure returns (Policy memory) {
        return abi.decode(policy, (Policy));
    }

    /// @inheritdoc IWorkflowRegistry
    function publish(Workflow calldata workflow) external returns (uint64 id) {
        require(msg.sender == workflow.account, OnlyAccount(workflow.account, msg.sender));
        require(_content[workflow.codeHash].length != 0, UnknownContent(workflow.codeHash));
        require(workflow.sessionKey != address(0), SessionKeyZero());
        require(workflow.args.length <= MAX_ARGS, ArgsTooLarge(workflow.args.length, MAX_ARGS));
        require(
            workflow.validUntil == 0 || workflow.validAfter <= workflow.validUntil,
            WindowEmpty(workflow.validAfter, workflow.validUntil)
        );
        uint256 triggers = workflow.triggers.length;
        require(triggers != 0 && triggers <= MAX_TRIGGERS, TriggerCount(triggers, MAX_TRIGGERS));
        for (uint256 i = 0; i < triggers; ++i) {
            _checkTrigger(i, workflow.triggers[i]);
        }

        id = ++count;
        bytes memory encoded = abi.encode(workflow);
        _records[id] = Record(msg.sender, false, CodeStore.write(encoded, 0, encoded.length));
        emit WorkflowPublished(id, msg.sender, workflow.codeHash, workflow);
    }

    /// @inheritdoc IWorkflowRegistry
    function cancel(uint64 id) external {
        Record storage record = _known(id);
        require(msg.sender == record.account, OnlyAccount(record.account, msg.sender));
        require(!record.cancelled, AlreadyCancelled(id));
        record.cancelled = true;
        emit WorkflowCancelled(id);
    }

    /// @inheritdoc IWorkflowRegistry
    function workflowOf(uint64 id) external view returns (Workflow memory) {
        return abi.decode(CodeStore.read(_known(id).chunk), (Workflow));
    }

    /// @inheritdoc IWorkflowRegistry
    function isActive(uint64 id) external view returns (bool) {
        Record storage record = _records[id];
        if (record.account == address(0) || record.cancelled) return false;
        Workflow memory workflow = abi.decode(CodeStore.read(record.chunk), (Workflow));
        return
            block.timestamp >= workflow.validAfter
                && (workflow.validUntil == 0 || block.timestamp <= workflow.validUntil);
    }

    /// @inheritdoc IWorkflowRegistry
    function isCancelled(uint64 id) external view returns (bool) {
        return _known(id).cancelled;
    }

    function _known(uint64 id) private view returns (Record storage record) {
        record = _records[id];
        require(record.account != address(0), UnknownWorkflow(id));
    }

    function _store(bytes calldata content, uint256 limit) private returns (bytes32 contentHash, bool isNew) {
        require(content.length != 0, EmptyContent());
        require(content.length <= limit, ContentTooLarge(content.length, limit));
        contentHash = keccak256(content);
        address[] storage chunks = _content[contentHash];
        if (chunks.length != 0) return (contentHash, false);

        bytes memory data = content;
        for (uint256 from = 0; from < data.length; from += CodeStore.MAX_CHUNK) {
            uint256 left = data.length - from;
            chunks.push(CodeStore.write(data, from, left < CodeStore.MAX_CHUNK ? left : CodeStore.MAX_CHUNK));
        }
        return (contentHash, true);
    }

    function _load(bytes32 contentHash) private view returns (bytes memory content) {
        address[] storage chunks = _content[contentHash];
        uint256 n = chunks.length;
        require(n != 0, UnknownContent(contentHash));
        content = new bytes((n - 1) * CodeStore.MAX_CHUNK + CodeStore.sizeOf(chunks[n - 1]));
        uint256 to;
        assembly ("memory-safe") {
            to := add(content, 0x20)
        }
        for (uint256 i = 0; i < n; ++i) {
            uint256 size = CodeStore.sizeOf(chunks[i]);
            CodeStore.copyTo(chunks[i], 0, size, to);
            to += size;
        }
    }

    /// @inheritdoc IWorkflowRegistry
    function decodeEventTrigger(bytes calldata data) external pure returns (EventTrigger memory) {
        return abi.decode(data, (EventTrigger));
    }

    /// @inheritdoc IWorkflowRegistry
    function decodeConditionTrigger(bytes calldata data) external pure returns (ConditionTrigger memory) {
        return abi.decode(data, (ConditionTrigger));
    }

    /// @inheritdoc IWorkflowRegistry
    function decodeLimitTrigger(bytes calldata data) external pure returns (LimitTrigger memory) {
        return abi.decode(data, (LimitTrigger));
    }

    /// Shapes and ranges. Whether the data says more, or can ever fire, operators see.
    function _checkTrigger(uint256 index, Trigger calldata trigger) private view {
        bytes calldata data = trigger.data;
        if (trigger.kind == TRIGGER_INTERVAL) {
            require(data.length == 64, TriggerMalformed(index));
            (uint256 everySlots, uint256 phase) = abi.decode(data, (uint256, uint256));
            require(everySlots <= type(uint64).max && phase < everySlots, TriggerMalformed(index));
        } else if (trigger.kind == TRIGGER_CRON) {
            require(data.length <= MAX_SCHEDULE && _fields(data) == 5, TriggerMalformed(index));
        } else if (trigger.kind == TRIGGER_EVENT) {
            require(data.length <= MAX_TRIGGER, TriggerMalformed(index));
            try this.decodeEventTrigger(data) returns (EventTrigger memory decoded) {
                require(decoded.signature != 0 && decoded.topics.length <= 3, TriggerMalformed(index));
            } catch {
                revert TriggerMalformed(index);
            }
        } else if (trigger.kind == TRIGGER_CONDITION) {
            require(data.length <= MAX_TRIGGER, TriggerMalformed(index));
            try this.decodeConditionTrigger(data) returns (ConditionTrigger memory decoded) {
                uint256 operands = decoded.operands.length;
                require(
                    decoded.result < RESULTS && decoded.comparison < COMPARISONS && operands != 0
                        && (operands == 1 || decoded.comparison == COMPARISON_ONE_OF),
                    TriggerMalformed(index)
                );
            } catch {
                revert TriggerMalformed(index);
            }
        } else if (trigger.kind == TRIGGER_LIMIT) {
            require(data.length == 64, TriggerMalformed(index));
            (uint256 count_, uint256 interval) = abi.decode(data, (uint256, uint256));
            require(
                count_ <= type(uint64).max && interval <= type(uint64).max && (count_ | interval) != 0,
                TriggerMalformed(index)
            );
        } else {
            revert TriggerKindUnknown(index, trigger.kind);
        }
    }

    /// Words of a schedule, parted by spaces. What the words mean is checked by operators.
    function _fields(bytes calldata schedule) private pure returns (uint256 fields) {
        bool inside = false;
        for (uint256 i = 0; i < schedule.length; ++i) {
            bool word = schedule[i] != " ";
            if (word && !inside) ++fields;
            inside = word;
        }
    }
}
