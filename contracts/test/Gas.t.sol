// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccount, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import "./Network.sol";

/// Stands at the EntryPoint's address and does nothing, so that what remains is the cost of verification.
contract IdleEntryPoint {
    fallback() external {}
}

/// Stands at the EntryPoint's address and only validates, noting the gas of each account's validateUserOp.
contract ValidatingEntryPoint {
    uint256 public total;
    uint256 public worst;

    function handleOps(PackedUserOperation[] calldata ops, address payable) external {
        for (uint256 i = 0; i < ops.length; ++i) {
            bytes32 hash = keccak256(
                abi.encode(
                    keccak256(
                        abi.encode(
                            ops[i].sender,
                            ops[i].nonce,
                            keccak256(ops[i].initCode),
                            keccak256(ops[i].callData),
                            ops[i].accountGasLimits,
                            ops[i].preVerificationGas,
                            ops[i].gasFees,
                            keccak256(ops[i].paymasterAndData)
                        )
                    ),
                    address(this),
                    block.chainid
                )
            );
            bytes memory data = abi.encodeCall(IAccount.validateUserOp, (ops[i], hash, 0));
            address sender = ops[i].sender;
            uint256 left = gasleft();
            (bool ok,) = sender.call(data);
            uint256 used = left - gasleft();
            require(ok, "validation failed");
            total += used;
            if (used > worst) worst = used;
        }
    }
}

/// The gas budget: at 4 operators and batches of 24, verification at most 15,000 per operation (base and frames of
/// AttestationCenter, OBLS and hook, without handleOps and calldata) and validation at most 40,000 per operation.
contract GasTest is Network {
    uint256 constant BATCH = 24;
    uint256 constant BASE = 21_000;

    function setUp() public {
        deployNetwork(4);
        addAccounts(BATCH);
    }

    /// Gas of one submission with the EntryPoint idle, base included, calldata excluded.
    function verification(uint256 count, uint256 signers) internal returns (uint256 used) {
        uint256 state = vm.snapshotState();
        Submission memory s = submissionOf(recordOperations(count), approvals(count), firstOf(signers));
        vm.etch(ENTRY_POINT, type(IdleEntryPoint).runtimeCode);
        bytes memory data =
            abi.encodeCall(IAttestationCenter.submit, (s.proposal, s.performerSignature, s.batch, s.certificate));
        submit(s);
        used = vm.lastCallGas().gasTotalUsed - calldataGas(data);
        vm.revertToState(state);
    }

    /// EIP-2028: 16 a byte, 4 a zero byte.
    function calldataGas(bytes memory data) internal pure returns (uint256 gas_) {
        for (uint256 i = 0; i < data.length; ++i) {
            gas_ += data[i] == 0 ? 4 : 16;
        }
    }

    /// Gas of OBLS.verify's frame, everything cold.
    function verifyGas(uint32 setId, bytes32 message, Certificate memory c) internal returns (uint256) {
        bytes memory data = abi.encodeCall(IOBLS.verify, (setId, message, c.signers, c.signature));
        (bool ok,) = address(obls).call(data); // not a static call: these are not isolated
        check(ok, "verify");
        return vm.lastCallGas().gasTotalUsed - BASE - calldataGas(data);
    }

    function row(string memory what, uint256 gas_, uint256 per) internal view {
        print(string.concat(what, vm.toString(gas_), " | ", vm.toString(gas_ / per)));
    }

    function test_verification_per_operation() public {
        uint256 all = verification(BATCH, 4);
        uint256 three = verification(BATCH, 3);
        uint256 one = verification(1, 4);
        Submission memory s = submissionOf(recordOperations(BATCH), approvals(BATCH), firstOf(4));
        bytes32 digest = verdictDigest(center.proposalDigest(s.proposal), s.batch);
        uint256 verify = verifyGas(1, digest, s.certificate);
        uint256 perOperation = (all - one) / (BATCH - 1);

        print("verification, 4 operators, 24 operations | gas | per operation");
        row("all signed                               | ", all, BATCH);
        row("one of four missing                      | ", three, BATCH);
        row("  base of the transaction                | ", BASE, BATCH);
        row("  OBLS.verify                            | ", verify, BATCH);
        row("  rest that does not grow with the batch | ", one - perOperation - BASE - verify, BATCH);
        row("  what grows with the batch              | ", perOperation * BATCH, BATCH);
        row("a batch of one                           | ", one, 1);
        check(all <= 15_000 * BATCH && three <= 15_000 * BATCH, "verification above 15,000 per operation");
    }

    function test_validation_per_operation() public {
        Submission memory s = submissionOf(recordOperations(BATCH), approvals(BATCH), firstOf(4));
        vm.etch(ENTRY_POINT, type(ValidatingEntryPoint).runtimeCode);
        submit(s);
        uint256 total = ValidatingEntryPoint(ENTRY_POINT).total();
        uint256 worst = ValidatingEntryPoint(ENTRY_POINT).worst();
        print(
            "validation, 24 accounts' first occurrences (frames, and the call with its cold account) | gas | per operation"
        );
        row("all                                      | ", total, BATCH);
        row("worst                                    | ", worst, 1);
        check(total <= 40_000 * BATCH && worst <= 40_000, "validation above 40,000 per operation");
    }

    function test_whole_transaction() public {
        Submission memory s = submissionOf(recordOperations(BATCH), approvals(BATCH), firstOf(4));
        submit(s);
        row("whole transaction with the real EntryPoint, 24 operations | ", vm.lastCallGas().gasTotalUsed, BATCH);
        eq(counter.total(), BATCH, "all executed");
    }

    /// What the aggregator chooses by (aggregator/src/choice.rs): verification costs one point addition per signer, or a
    /// fixed price and one addition per member that did not sign, whichever are fewer.
    function test_signers_against_non_signers() public {
        uint256 size = 96;
        for (uint256 i = 4; i < size; ++i) {
            addOperator(i, 100);
        }
        uint32 id = obls.commitSet();
        uint256[8] memory signed = [uint256(32), 33, 48, 49, 65, 66, 95, 96];
        uint256[8] memory used;
        print("signers of 96 | points added or subtracted | OBLS.verify");
        for (uint256 i = 0; i < signed.length; ++i) {
            Certificate memory c = certify(keccak256("message"), firstOf(signed[i]));
            used[i] = verifyGas(id, keccak256("message"), c);
            uint256 points = 2 * signed[i] > size ? size - signed[i] : signed[i];
            print(string.concat(vm.toString(signed[i]), " | ", vm.toString(points), " | ", vm.toString(used[i])));
        }
        check(used[0] < used[1] && used[1] < used[2], "each signer costs while they are the fewer");
        check(used[3] > used[4] && used[4] > used[5] && used[6] > used[7], "each missing one costs while they are the fewer");
        // The constants there: 1,450 a signer, 20,000 and 1,250 a missing one.
        uint256 perSigner = (used[2] - used[0]) / 16;
        uint256 perMissing = (used[5] - used[6]) / 29;
        uint256 subtracting = used[6] - perMissing - used[7];
        check(perSigner > 1_300 && perSigner < 1_600, "a signer's price");
        check(perMissing > 1_100 && perMissing < 1_400, "a missing member's price");
        check(subtracting > 15_000 && subtracting < 25_000, "the price of subtracting at all");
    }

    /// Verification of larger sets, a tenth missing, and what their snapshot costs.
    function test_larger_sets() public {
        uint256 size = 4;
        print("operators | OBLS.verify | commitSet");
        for (uint256 next = 16; next <= 256; next *= 4) {
            for (; size < next; ++size) {
                addOperator(size, 100);
            }
            uint32 id = obls.commitSet();
            uint256 commit = vm.lastCallGas().gasTotalUsed;
            Certificate memory c = certify(keccak256("message"), firstOf(next - next / 10));
            (uint256 signed, uint256 total) = obls.verify(id, keccak256("message"), c.signers, c.signature);
            uint256 used = verifyGas(id, keccak256("message"), c);
            print(string.concat(vm.toString(next), " | ", vm.toString(used), " | ", vm.toString(commit)));
            eq(signed, 100 * (next - next / 10), "signed power");
            eq(total, 100 * next, "total power");
        }
    }
}
