// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {
    IWorkflowRegistry,
    Workflow,
    Trigger,
    EventTrigger,
    ConditionTrigger,
    LimitTrigger,
    Policy,
    Rule
} from "../src/interfaces/IWorkflowRegistry.sol";
import "./Vm.sol";

contract RegistryTest {
    IWorkflowRegistry registry;
    bytes32 code;

    function setUp() public {
        registry = IWorkflowRegistry(vm.deployCode("WorkflowRegistry.sol:WorkflowRegistry"));
        code = registry.publishCode("export default 1");
    }

    function content(uint256 size) internal pure returns (bytes memory data) {
        data = new bytes(size);
        for (uint256 i = 0; i < size; i += 32) {
            bytes32 word = keccak256(abi.encode(i));
            assembly {
                mstore(add(add(data, 0x20), i), word)
            }
        }
        assembly {
            mstore(add(add(data, 0x20), size), 0)
        }
    }

    function test_code_of_any_size() public {
        uint256[7] memory sizes = [uint256(1), 24_574, 24_575, 24_576, 49_150, 49_151, 131_072];
        for (uint256 i = 0; i < sizes.length; ++i) {
            bytes memory data = content(sizes[i]);
            bytes32 hash = registry.publishCode(data);
            eq(hash, keccak256(data), "hash");
            eq(keccak256(registry.codeOf(hash)), hash, "comes back");
            vm.recordLogs();
            eq(registry.publishCode(data), hash, "idempotent");
            eq(vm.getRecordedLogs().length, 0, "and silent");
        }
        vm.expectRevert(abi.encodeWithSelector(IWorkflowRegistry.ContentTooLarge.selector, 131_073, 131_072));
        registry.publishCode(new bytes(131_073));
        vm.expectRevert(IWorkflowRegistry.EmptyContent.selector);
        registry.publishCode("");
        vm.expectRevert(abi.encodeWithSelector(IWorkflowRegistry.UnknownContent.selector, bytes32(uint256(1))));
        registry.codeOf(bytes32(uint256(1)));
    }

    function test_policy() public {
        Policy memory policy;
        policy.rules = new Rule[](1);
        policy.rules[0] = Rule(address(1), 0x12345678, 5);
        policy.maxValuePerOp = 6;
        bytes memory encoded = abi.encode(policy);
        bytes32 hash = registry.publishPolicy(encoded);
        eq(keccak256(registry.policyOf(hash)), keccak256(encoded), "comes back");
        eq(registry.decodePolicy(encoded).rules[0].maxValue, 5, "decodes");
        vm.expectRevert(IWorkflowRegistry.PolicyMalformed.selector);
        registry.publishPolicy(hex"1234");
    }

    function workflow() internal view returns (Workflow memory w) {
        w.account = address(this);
        w.codeHash = code;
        w.sessionKey = address(7);
        w.triggers = new Trigger[](2);
        w.triggers[0] = Trigger(0, abi.encode(uint64(5), uint64(4)));
        w.triggers[1] = Trigger(1, "*/5 * * * mon-fri");
        w.args = '{"floor":1}';
    }

    function test_publish_and_cancel() public {
        Workflow memory w = workflow();
        w.validAfter = 100;
        w.validUntil = 200;
        eq(registry.publish(w), 1, "ids from 1");
        eq(registry.publish(workflow()), 2, "next");
        eq(registry.count(), 2, "count");
        eq(keccak256(abi.encode(registry.workflowOf(1))), keccak256(abi.encode(w)), "comes back");
        vm.warp(99);
        check(!registry.isActive(1) && registry.isActive(2) && !registry.isActive(3), "before");
        vm.warp(100);
        check(registry.isActive(1), "first second");
        vm.warp(200);
        check(registry.isActive(1), "last second");
        vm.warp(201);
        check(!registry.isActive(1), "after");
        vm.prank(address(8));
        vm.expectRevert(abi.encodeWithSelector(IWorkflowRegistry.OnlyAccount.selector, address(this), address(8)));
        registry.cancel(2);
        registry.cancel(2);
        check(!registry.isActive(2) && registry.isCancelled(2), "cancelled");
        vm.expectRevert(abi.encodeWithSelector(IWorkflowRegistry.AlreadyCancelled.selector, 2));
        registry.cancel(2);
        vm.expectRevert(abi.encodeWithSelector(IWorkflowRegistry.UnknownWorkflow.selector, 3));
        registry.cancel(3);
        vm.expectRevert(abi.encodeWithSelector(IWorkflowRegistry.UnknownWorkflow.selector, 0));
        registry.workflowOf(0);
    }

    function refused(Workflow memory w, bytes memory reason) internal {
        vm.expectRevert(reason);
        registry.publish(w);
    }

    function test_bad_workflows() public {
        Workflow memory w = workflow();
        w.account = address(1);
        refused(w, abi.encodeWithSelector(IWorkflowRegistry.OnlyAccount.selector, address(1), address(this)));
        w = workflow();
        w.codeHash = bytes32(uint256(5));
        refused(w, abi.encodeWithSelector(IWorkflowRegistry.UnknownContent.selector, bytes32(uint256(5))));
        w = workflow();
        w.sessionKey = address(0);
        refused(w, abi.encodeWithSelector(IWorkflowRegistry.SessionKeyZero.selector));
        w = workflow();
        w.args = new bytes(8193);
        refused(w, abi.encodeWithSelector(IWorkflowRegistry.ArgsTooLarge.selector, 8193, 8192));
        w = workflow();
        (w.validAfter, w.validUntil) = (2, 1);
        refused(w, abi.encodeWithSelector(IWorkflowRegistry.WindowEmpty.selector, 2, 1));
        w = workflow();
        w.triggers = new Trigger[](0);
        refused(w, abi.encodeWithSelector(IWorkflowRegistry.TriggerCount.selector, 0, 8));
        w.triggers = new Trigger[](9);
        refused(w, abi.encodeWithSelector(IWorkflowRegistry.TriggerCount.selector, 9, 8));
        w = workflow();
        w.triggers[1].kind = 5;
        refused(w, abi.encodeWithSelector(IWorkflowRegistry.TriggerKindUnknown.selector, 1, 5));
    }

    function test_bad_triggers() public {
        bytes memory malformed = abi.encodeWithSelector(IWorkflowRegistry.TriggerMalformed.selector, 0);
        bytes[4] memory intervals = [
            abi.encode(uint64(0), uint64(0)),
            abi.encode(uint64(5), uint64(5)),
            abi.encode(uint256(1) << 64, uint64(0)),
            bytes("short")
        ];
        Workflow memory w = workflow();
        for (uint256 i = 0; i < intervals.length; ++i) {
            w.triggers[0] = Trigger(0, intervals[i]);
            refused(w, malformed);
        }
        bytes[4] memory schedules = [bytes(""), "* * * *", "* * * * * *", new bytes(129)];
        for (uint256 i = 0; i < schedules.length; ++i) {
            w.triggers[0] = Trigger(1, schedules[i]);
            refused(w, malformed);
        }
        w.triggers[0] = Trigger(1, "  0  12 * * 1 ");
        registry.publish(w);
    }

    function anEvent() internal pure returns (EventTrigger memory e) {
        e = EventTrigger(1, address(9), keccak256("Transfer(address,address,uint256)"), new bytes32[][](2));
        e.topics[1] = new bytes32[](1);
        e.topics[1][0] = bytes32(uint256(7));
    }

    function aCondition(uint8 result, uint8 comparison, uint256 operands)
        internal
        pure
        returns (ConditionTrigger memory c)
    {
        c = ConditionTrigger(1, address(9), hex"50d25bcd", 0, result, comparison, new bytes[](operands));
        for (uint256 i = 0; i < operands; ++i) {
            c.operands[i] = abi.encode(i);
        }
    }

    function test_event_condition_and_limit() public {
        Workflow memory w = workflow();
        w.triggers = new Trigger[](4);
        w.triggers[0] = Trigger(2, abi.encode(anEvent()));
        w.triggers[1] = Trigger(3, abi.encode(aCondition(1, 5, 1)));
        w.triggers[2] = Trigger(3, abi.encode(aCondition(2, 6, 3)));
        w.triggers[3] = Trigger(4, abi.encode(LimitTrigger(3, 0)));
        registry.publish(w);
        eq(registry.decodeEventTrigger(w.triggers[0].data).topics[1][0], bytes32(uint256(7)), "event");
        eq(registry.decodeConditionTrigger(w.triggers[2].data).operands.length, 3, "condition");
        eq(registry.decodeLimitTrigger(w.triggers[3].data).count, 3, "limit");
    }

    function test_bad_event_condition_and_limit() public {
        bytes memory malformed = abi.encodeWithSelector(IWorkflowRegistry.TriggerMalformed.selector, 0);
        EventTrigger memory unnamed = anEvent();
        unnamed.signature = 0;
        EventTrigger memory wide = anEvent();
        wide.topics = new bytes32[][](4);
        EventTrigger memory large = anEvent();
        large.topics[0] = new bytes32[](48);
        bytes[4] memory events = [abi.encode(unnamed), abi.encode(wide), abi.encode(large), bytes(hex"1234")];
        Workflow memory w = workflow();
        for (uint256 i = 0; i < events.length; ++i) {
            w.triggers[0] = Trigger(2, events[i]);
            refused(w, malformed);
        }
        bytes[6] memory conditions = [
            abi.encode(aCondition(3, 0, 1)),
            abi.encode(aCondition(0, 7, 1)),
            abi.encode(aCondition(0, 0, 0)),
            abi.encode(aCondition(0, 0, 2)),
            abi.encode(aCondition(0, 6, 40)),
            bytes("short")
        ];
        for (uint256 i = 0; i < conditions.length; ++i) {
            w.triggers[0] = Trigger(3, conditions[i]);
            refused(w, malformed);
        }
        bytes[3] memory limits = [abi.encode(0, 0), abi.encode(uint256(1) << 64, 0), bytes("short")];
        for (uint256 i = 0; i < limits.length; ++i) {
            w.triggers[0] = Trigger(4, limits[i]);
            refused(w, malformed);
        }
    }

    /// Eight of the largest triggers and the largest arguments: the record must still fit one contract's code.
    function test_the_largest_workflow() public {
        Workflow memory w = workflow();
        w.args = new bytes(8192);
        w.triggers = new Trigger[](8);
        EventTrigger memory e = anEvent();
        e.topics[0] = new bytes32[](37);
        bytes memory data = abi.encode(e);
        check(data.length == 1536, "the largest");
        for (uint256 i = 0; i < w.triggers.length; ++i) {
            w.triggers[i] = Trigger(2, data);
        }
        registry.publish(w);
    }
}
