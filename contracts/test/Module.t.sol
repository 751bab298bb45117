// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEntryPoint, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import "./Network.sol";

interface IValidator {
    function onInstall(bytes calldata data) external;
    function onUninstall(bytes calldata data) external;
    function isInitialized(address account) external view returns (bool);
    function isModuleType(uint256 id) external view returns (bool);
    function validateUserOp(PackedUserOperation calldata op, bytes32 hash) external returns (uint256);
    function isValidSignatureWithSender(address sender, bytes32 hash, bytes calldata signature)
        external
        view
        returns (bytes4);
}

interface IAccountModules {
    function installModule(uint256 kind, address module, bytes calldata data) external;
    function uninstallModule(uint256 kind, address module, bytes calldata data) external;
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4);
    function signer() external view returns (address);
}

interface IDryRun {
    function dryRun(
        address entryPoint,
        address module,
        PackedUserOperation calldata op,
        bytes32 consent,
        address payable beneficiary
    ) external returns (bool ok, uint256 gasUsed, bytes memory reason);
}

interface ICallMeter {
    function meter(address account, bytes calldata callData, uint256 gasCap)
        external
        returns (bool ok, uint256 gasUsed, bytes memory returned);
}

/// Stands at the hook's address: approves a consent and validates as the account would, in one transaction.
contract ValidatingHook {
    bool public cleared;

    function run(IDittoValidatorModule module, PackedUserOperation calldata op, bytes32 hash, bytes32 consent)
        external
        returns (uint256)
    {
        bytes32[] memory consents = new bytes32[](1);
        consents[0] = consent;
        module.authorize(consents);
        if (cleared) module.clear(consents);
        return Relay(op.sender).validate(address(module), op, hash);
    }

    function setCleared() external {
        cleared = true;
    }
}

/// An account of tests: calls the module as itself.
contract Relay {
    function call(address target, bytes calldata data) external returns (bytes memory returned) {
        bool ok;
        (ok, returned) = target.call(data);
        if (!ok) {
            assembly {
                revert(add(returned, 0x20), mload(returned))
            }
        }
    }

    function validate(address module, PackedUserOperation calldata op, bytes32 hash) external returns (uint256) {
        return IValidator(module).validateUserOp(op, hash);
    }
}

/// The validator module: sessions, windows, occurrences, ERC-7579 and ERC-1271; the account's own operations; the simulation contracts.
contract ModuleTest is Network {
    Relay account;
    uint256 constant FAILED = 1;

    function setUp() public {
        deployNetwork(4);
        addAccounts(2);
        account = new Relay();
        Session[] memory sessions = new Session[](2);
        sessions[0] = Session(SESSION_KEY, 1000, 2000, keccak256("policy"));
        sessions[1] = Session(address(0x2), 0, 0, 0);
        account.call(address(module), abi.encodeCall(IValidator.onInstall, (abi.encode(sessions))));
    }

    function op(address key, uint256 nonce, uint48 validAfter, uint48 validUntil)
        internal
        view
        returns (PackedUserOperation memory o)
    {
        o.sender = address(account);
        o.signature = sessionData(key, nonce, validAfter, validUntil);
    }

    /// Validates with `approved` approved by the hook.
    function validate(PackedUserOperation memory o, PackedUserOperation memory approved) internal returns (uint256) {
        bytes memory code = address(hook).code;
        vm.etch(address(hook), type(ValidatingHook).runtimeCode);
        uint256 data = ValidatingHook(address(hook)).run(module, o, hashOf(o), center.consentHash(consentOf(approved)));
        vm.etch(address(hook), code);
        return data;
    }

    function validate(PackedUserOperation memory o) internal returns (uint256) {
        return validate(o, o);
    }

    function packed(uint256 validAfter, uint256 validUntil) internal pure returns (uint256) {
        return (validAfter << 208) | (validUntil << 160);
    }

    function revertsWith(PackedUserOperation memory o, bytes memory reason) internal {
        bytes memory code = address(hook).code;
        vm.etch(address(hook), type(ValidatingHook).runtimeCode);
        bytes32 consent = center.consentHash(consentOf(o));
        bytes32 hash = hashOf(o);
        vm.expectRevert(reason);
        ValidatingHook(address(hook)).run(module, o, hash, consent);
        vm.etch(address(hook), code);
    }

    // ---------------------------------------------------------------- validation

    function test_windows_are_intersected() public {
        eq(validate(op(SESSION_KEY, 1, 500, 3000)), packed(1000, 2000), "session inside");
        eq(validate(op(SESSION_KEY, 2, 1200, 1300)), packed(1200, 1300), "consent inside");
        eq(validate(op(SESSION_KEY, 3, 1200, 0)), packed(1200, 2000), "consent without end");
        eq(validate(op(address(2), 4, 7, 0)), packed(7, 0), "no end at all");
        eq(validate(op(address(2), 5, 7, 9)), packed(7, 9), "session without end");
        eq(validate(op(SESSION_KEY, 6, 2500, 3000)), packed(2500, 2000), "disjoint: never valid");
    }

    function test_occurrence_spent_twice() public {
        uint256 nonce = occurrence(3);
        validate(op(SESSION_KEY, nonce, 0, 0));
        check(module.isSpent(address(account), nonce), "spent");
        eq(module.spentWords(address(account), (nonce >> 8) - 1, 3)[1], 1 << (nonce & 255), "one bit of one word");
        check(
            !module.isSpent(address(account), nonce + 1) && !module.isSpent(address(account), nonce ^ 256), "others not"
        );
        check(!module.isSpent(accounts[0], nonce), "per account");
        bytes memory reason =
            abi.encodeWithSelector(IDittoValidatorModule.OccurrenceAlreadySpent.selector, address(account), nonce);
        revertsWith(op(SESSION_KEY, nonce, 0, 0), reason);
        revertsWith(op(address(2), nonce, 5, 0), reason); // nor under another session
        address[] memory list = new address[](2);
        uint256[] memory nonces = new uint256[](2);
        (list[0], list[1], nonces[0], nonces[1]) = (address(account), address(account), nonce, nonce + 1);
        bool[] memory answers = module.spent(list, nonces);
        check(answers[0] && !answers[1], "batched reading");
        vm.expectRevert(abi.encodeWithSelector(IDittoValidatorModule.LengthMismatch.selector, 2, 0));
        module.spent(list, new uint256[](0));
    }

    function test_only_the_exact_consent() public {
        PackedUserOperation memory o = op(SESSION_KEY, 1, 1000, 2000);
        PackedUserOperation memory other = op(SESSION_KEY, 1, 1000, 2001);
        eq(validate(o, other), FAILED, "window");
        other = op(address(2), 1, 1000, 2000);
        eq(validate(o, other), FAILED, "session");
        other = op(SESSION_KEY, 2, 1000, 2000);
        eq(validate(o, other), FAILED, "occurrence");
        other = op(SESSION_KEY, 1, 1000, 2000);
        other.callData = hex"00";
        eq(validate(o, other), FAILED, "operation");
        check(!module.isSpent(address(account), 1), "a failure spends nothing");
    }

    function test_no_approval_outlives_clear_or_transaction() public {
        PackedUserOperation memory o = op(SESSION_KEY, 1, 1000, 2000);
        bytes32 consent = center.consentHash(consentOf(o));
        bytes32 hash = hashOf(o);
        bytes32[] memory consents = new bytes32[](1);
        consents[0] = consent;
        vm.prank(address(hook));
        module.authorize(consents);
        eq(account.validate(address(module), o, hash), FAILED, "another transaction");
        vm.etch(address(hook), type(ValidatingHook).runtimeCode);
        ValidatingHook(address(hook)).setCleared();
        eq(ValidatingHook(address(hook)).run(module, o, hash, consent), FAILED, "cleared");
    }

    function test_unknown_and_revoked_session() public {
        bytes memory unknown =
            abi.encodeWithSelector(IDittoValidatorModule.SessionUnknown.selector, address(account), address(0x9));
        revertsWith(op(address(0x9), 1, 0, 0), unknown);
        account.call(address(module), abi.encodeCall(IDittoValidatorModule.revokeSession, (SESSION_KEY)));
        revertsWith(
            op(SESSION_KEY, 1, 0, 0),
            abi.encodeWithSelector(IDittoValidatorModule.SessionUnknown.selector, address(account), SESSION_KEY)
        );
        eq(module.sessionKeysOf(address(account)).length, 1, "one left");
        eq(validate(op(address(2), 1, 0, 0)), 0, "the other one works");
    }

    function test_malformed_session_data() public {
        PackedUserOperation memory o = op(SESSION_KEY, 1, 0, 0);
        o.signature = new bytes(65);
        vm.expectRevert(abi.encodeWithSelector(IDittoValidatorModule.SignatureLength.selector, 65));
        account.validate(address(module), o, 0);
        o.sender = accounts[0];
        vm.expectRevert(
            abi.encodeWithSelector(IDittoValidatorModule.OnlySender.selector, address(account), accounts[0])
        );
        account.validate(address(module), o, 0);
    }

    /// End to end: the session's end is the EntryPoint's to enforce.
    function test_expired_session_in_a_batch() public {
        vm.startPrank(accounts[0]);
        module.enableSession(Session(SESSION_KEY, 0, uint48(block.timestamp - 1), 0));
        vm.stopPrank();
        Submission memory s = submissionOf(recordOperations(2), approvals(2), firstOf(4));
        submit(s);
        check(recorded(0) == 0 && recorded(1) == 1, "only the one whose session lasts");
        check(!module.isSpent(accounts[0], occurrence(1)), "not spent");
    }

    // ---------------------------------------------------------------- sessions and ERC-7579

    function test_sessions() public {
        Session memory s = module.sessionOf(address(account), SESSION_KEY);
        check(s.validAfter == 1000 && s.validUntil == 2000 && s.policyHash == keccak256("policy"), "session");
        vm.expectRevert(abi.encodeWithSelector(IDittoValidatorModule.NotInstalled.selector, address(this)));
        module.enableSession(s);
        bytes memory enable = abi.encodeCall(IDittoValidatorModule.enableSession, (Session(address(0), 0, 0, 0)));
        vm.expectRevert(IDittoValidatorModule.SessionKeyZero.selector);
        account.call(address(module), enable);
        enable = abi.encodeCall(IDittoValidatorModule.enableSession, (Session(address(3), 2, 1, 0)));
        vm.expectRevert(abi.encodeWithSelector(IDittoValidatorModule.SessionWindowEmpty.selector, 2, 1));
        account.call(address(module), enable);
        for (uint160 i = 2; i < 64; ++i) {
            account.call(
                address(module),
                abi.encodeCall(IDittoValidatorModule.enableSession, (Session(address(1000 + i), 0, 0, 0)))
            );
        }
        enable = abi.encodeCall(IDittoValidatorModule.enableSession, (Session(address(3), 0, 0, 0)));
        vm.expectRevert(abi.encodeWithSelector(IDittoValidatorModule.TooManySessions.selector, 64));
        account.call(address(module), enable);
    }

    function test_uninstall_ends_sessions_but_not_history() public {
        validate(op(SESSION_KEY, 1, 0, 0));
        account.call(address(module), abi.encodeCall(IValidator.onUninstall, ("")));
        IValidator validator = IValidator(address(module));
        check(!validator.isInitialized(address(account)), "uninstalled");
        account.call(address(module), abi.encodeCall(IValidator.onInstall, ("")));
        vm.expectRevert(abi.encodeWithSelector(IDittoValidatorModule.AlreadyInstalled.selector, address(account)));
        account.call(address(module), abi.encodeCall(IValidator.onInstall, ("")));
        check(validator.isInitialized(address(account)) && module.isSpent(address(account), 1), "history stays");
        revertsWith(
            op(address(2), 2, 0, 0),
            abi.encodeWithSelector(IDittoValidatorModule.SessionUnknown.selector, address(account), address(2))
        );
    }

    function test_erc1271_is_refused() public view {
        IValidator validator = IValidator(address(module));
        check(validator.isModuleType(1) && !validator.isModuleType(2), "a validator");
        check(validator.isValidSignatureWithSender(address(1), 0, "") == 0xffffffff, "module");
        check(
            IAccountModules(accounts[0]).isValidSignature(0, abi.encodePacked(module, new bytes(64))) == 0xffffffff,
            "account"
        );
    }

    // ---------------------------------------------------------------- the account's own operations

    function ownerOperation(bytes memory callData) internal view returns (PackedUserOperation memory o) {
        o = recordOperation(0);
        o.nonce = 0;
        o.callData = callData;
    }

    function handle(PackedUserOperation memory o) internal returns (bool ok) {
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = o;
        vm.prank(address(0xb0b));
        (ok,) = ENTRY_POINT.call(abi.encodeCall(IEntryPoint.handleOps, (ops, payable(address(0xb0b)))));
    }

    function test_owner_signs_the_plain_hash() public {
        eq(IAccountModules(accounts[0]).signer(), vm.addr(OWNER_KEY), "owner");
        PackedUserOperation memory o = ownerOperation(
            abi.encodeCall(
                IExecute.execute,
                (
                    bytes32(0),
                    abi.encodePacked(
                        module, uint256(0), abi.encodeCall(IDittoValidatorModule.revokeSession, (SESSION_KEY))
                    )
                )
            )
        );
        o.signature = ecdsa(OWNER_KEY + 1, hashOf(o));
        check(!handle(o), "not by a stranger");
        o.signature = ecdsa(OWNER_KEY, hashOf(o));
        check(handle(o), "by the owner");
        eq(module.sessionKeysOf(accounts[0]).length, 0, "revoked");
    }

    // ---------------------------------------------------------------- simulation contracts

    function test_dry_run() public {
        PackedUserOperation memory o = recordOperation(0);
        bytes32 consent = center.consentHash(consentOf(o));
        vm.etch(address(hook), vm.getDeployedCode("DryRun.sol:DryRun"));
        uint256 state = vm.snapshotState();
        (bool ok, uint256 gasUsed, bytes memory reason) =
            IDryRun(address(hook)).dryRun(ENTRY_POINT, address(module), o, consent, payable(address(0xbe)));
        check(ok && gasUsed > 50_000 && reason.length == 0 && recorded(0) == 1, "executes");
        vm.revertToState(state);
        (ok,, reason) =
            IDryRun(address(hook)).dryRun(ENTRY_POINT, address(module), o, bytes32(0), payable(address(0xbe)));
        check(!ok && bytes4(reason) == IEntryPoint.FailedOp.selector, "no consent, no execution");
    }

    function test_call_meter() public {
        PackedUserOperation memory o = recordOperation(0);
        vm.etch(ENTRY_POINT, vm.getDeployedCode("CallMeter.sol:CallMeter"));
        (bool ok, uint256 gasUsed,) = ICallMeter(ENTRY_POINT).meter(accounts[0], o.callData, 1_000_000);
        check(ok && gasUsed > 40_000 && gasUsed < 100_000 && recorded(0) == 1, "measures the account's call");
        (ok, gasUsed,) = ICallMeter(ENTRY_POINT).meter(accounts[0], o.callData, 10_000);
        check(!ok && gasUsed < 15_000, "bounded");
    }
}
