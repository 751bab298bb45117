// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IAttestationCenter} from "./interfaces/IAttestationCenter.sol";
import {IOBLS, Electorate} from "./interfaces/IOBLS.sol";
import {IDittoHook} from "./interfaces/IDittoHook.sol";
import {IDittoValidatorModule} from "./interfaces/IDittoValidatorModule.sol";
import {Committee} from "./Committee.sol";
import {HandoverGas} from "./HandoverGas.sol";
import {SignedTypes} from "./SignedTypes.sol";
import {VerdictVector} from "./VerdictVector.sol";
import {Proposal, Batch, Certificate, TaskDefinition} from "./Protocol.sol";

/// @title Accepts certified batches: recomputes what was signed from the operations themselves, checks the quorum, hands over.
/// @notice Nothing signed is taken from the caller: set, slot, quorum rule and performer are in the proposal's digest, the proposal's digest and every
///         operation's hash are in the verdict's digest, and the verdict's digest is what the operators' key must have signed.
contract AttestationCenter is IAttestationCenter, SignedTypes, Ownable, ReentrancyGuardTransient {
    /// @inheritdoc IAttestationCenter
    address public immutable obls;
    /// @inheritdoc IAttestationCenter
    address public immutable hook;
    /// @inheritdoc IAttestationCenter
    address public immutable entryPoint;
    /// @inheritdoc IAttestationCenter
    uint64 public immutable genesis;
    /// @inheritdoc IAttestationCenter
    uint32 public immutable slotSeconds;
    /// @inheritdoc IAttestationCenter
    uint32 public immutable aggregatorDeadline;

    /// A task definition in one word: its minimum per attester, which few have, stands apart.
    struct Rule {
        uint32 approveNumerator;
        uint32 approveDenominator;
        uint32 rejectNumerator;
        uint32 rejectDenominator;
        uint96 minimumPower;
        bool active;
        uint16 maxAttesters;
        bool hasAttesterMinimum;
    }

    /// Under a cap a certificate is taken from so many seconds before its slot starts to so many after: whoever could name any slot
    /// could look for one in whose committee he has the seats. Early, because a chain's clock lags; the late bound is far beyond
    /// what operations are valid for.
    uint256 private constant SLOT_EARLY = 5 minutes;
    uint256 private constant SLOT_LATE = 1 hours;

    mapping(uint16 id => Rule) private _rules;
    mapping(uint16 id => uint96) private _attesterMinimum;
    /// keccak256(proposalDigest, batch index) => one bit per task
    mapping(bytes32 batch => uint256) private _done;

    /// @param owner_ governance
    /// @param hook_ a DittoHook deployed with this contract's address
    /// @param genesis_ unix second of slot 0
    /// @param aggregatorDeadline_ seconds after a slot's start from which any member may submit
    constructor(
        address owner_,
        address obls_,
        address hook_,
        address entryPoint_,
        uint64 genesis_,
        uint32 slotSeconds_,
        uint32 aggregatorDeadline_
    ) Ownable(owner_) {
        require(genesis_ != 0 && slotSeconds_ != 0, SlotClockZero());
        require(
            IDittoHook(hook_).attestationCenter() == address(this) && IDittoHook(hook_).entryPoint() == entryPoint_
                && IDittoValidatorModule(IDittoHook(hook_).module()).hook() == hook_,
            WrongWiring(hook_)
        );
        obls = obls_;
        hook = hook_;
        entryPoint = entryPoint_;
        genesis = genesis_;
        slotSeconds = slotSeconds_;
        aggregatorDeadline = aggregatorDeadline_;
    }

    // ---------------------------------------------------------------- submission

    /// @inheritdoc IAttestationCenter
    function submit(
        Proposal calldata proposal,
        bytes calldata performerSignature,
        Batch calldata batch,
        Certificate calldata certificate
    ) external nonReentrant {
        bytes32 digest = _checkProposal(proposal, performerSignature);
        VerdictVector.Vector memory vector = VerdictVector.read(batch, entryPoint);
        _checkTasks(proposal.tasks, batch.batchHashes, batch.index, vector.batchHash);
        _checkQuorum(proposal, vector, _verdictDigest(digest, vector.approvedHash, vector.rejectedHash), certificate);
        uint256 handedOver = _settle(digest, batch, vector);
        emit BatchCertified(digest, batch.index, proposal.slot, proposal.setId, certificate.signers, handedOver);
    }

    /// Chain, set, performer and submitter.
    function _checkProposal(Proposal calldata proposal, bytes calldata performerSignature)
        private
        view
        returns (bytes32 digest)
    {
        require(proposal.targetChainId == block.chainid, WrongChain(proposal.targetChainId, block.chainid));
        require(IOBLS(obls).isAccepted(proposal.setId), SetNotAccepted(proposal.setId));
        digest = proposalDigest(proposal);
        (address recovered,,) = ECDSA.tryRecoverCalldata(digest, performerSignature);
        require(
            recovered == proposal.performer && recovered != address(0),
            PerformerSignatureInvalid(recovered, proposal.performer)
        );
        require(
            IOBLS(obls).isMember(proposal.setId, proposal.performer),
            PerformerNotMember(proposal.performer, proposal.setId)
        );
        if (msg.sender != proposal.aggregator) {
            uint256 deadline = slotStart(proposal.slot) + aggregatorDeadline;
            require(
                block.timestamp >= deadline && IOBLS(obls).isMember(proposal.setId, msg.sender),
                NotAggregator(msg.sender, proposal.aggregator, deadline)
            );
        }
    }

    /// The batch is the one the proposal names.
    function _checkTasks(bytes32 tasks, bytes32[] calldata batchHashes, uint16 index, bytes32 batchHash) private pure {
        require(index < batchHashes.length, WrongBatchIndex(index, batchHashes.length));
        require(batchHashes[index] == batchHash, BatchMismatch(batchHashes[index], batchHash));
        bytes32 computed = keccak256(abi.encodePacked(batchHashes));
        require(computed == tasks, TasksMismatch(tasks, computed));
    }

    /// The certificate's power suffices by the task definition's rule: for approval when anything is approved, else for rejection.
    function _checkQuorum(
        Proposal calldata proposal,
        VerdictVector.Vector memory vector,
        bytes32 digest,
        Certificate calldata certificate
    ) private view {
        Rule memory rule = _rules[proposal.taskDefinitionId];
        require(rule.active, TaskDefinitionInactive(proposal.taskDefinitionId));
        (uint256 signed, uint256 total) = rule.maxAttesters == 0 && !rule.hasAttesterMinimum
            ? IOBLS(obls).verify(proposal.setId, digest, certificate.signers, certificate.signature)
            : _verifyAmong(rule, proposal, digest, certificate);
        bool reached = vector.approved != 0
            ? signed * rule.approveDenominator > total * rule.approveNumerator
            : signed * rule.rejectDenominator >= total * rule.rejectNumerator;
        require(reached && signed != 0 && signed >= rule.minimumPower, QuorumNotReached(signed, total));
    }

    /// Counts those only who are eligible, and by seats where there is a cap.
    function _verifyAmong(
        Rule memory rule,
        Proposal calldata proposal,
        bytes32 digest,
        Certificate calldata certificate
    ) private view returns (uint256 signed, uint256 total) {
        uint16 id = proposal.taskDefinitionId;
        if (rule.maxAttesters != 0) {
            uint256 start = slotStart(proposal.slot);
            require(
                block.timestamp + SLOT_EARLY >= start && block.timestamp <= start + SLOT_LATE,
                SlotOutOfWindow(proposal.slot, start < SLOT_EARLY ? 0 : start - SLOT_EARLY, start + SLOT_LATE)
            );
        }
        uint96 minimum = rule.hasAttesterMinimum ? _attesterMinimum[id] : 0;
        return IOBLS(obls)
            .verifyAmong(
                proposal.setId,
                Electorate(proposal.slot, id, rule.maxAttesters, minimum),
                digest,
                certificate.signers,
                certificate.signature
            );
    }

    /// Hands over what is approved and not done yet, counts what is rejected and not done yet.
    function _settle(bytes32 digest, Batch calldata batch, VerdictVector.Vector memory vector)
        private
        returns (uint256 handedOver)
    {
        bytes32 key = _batchKey(digest, batch.index);
        uint256 before = _done[key];
        uint256 open = (vector.approved | vector.rejected) & ~before;
        require(open != 0, AlreadyDone(digest, batch.index));

        uint256 toHandOver = vector.approved & open;
        if (toHandOver != 0) {
            (bytes memory data, uint256 count, uint256 limits) =
                VerdictVector.handoverCall(vector, toHandOver, msg.sender);
            uint256 required = HandoverGas.required(count, limits);
            require(gasleft() >= required, InsufficientGas(gasleft(), required));
            handedOver = VerdictVector.spread(_handover(data), toHandOver);
        }
        uint256 rejected = vector.rejected & open;
        if (rejected != 0) _countRejected(digest, batch, rejected);
        // Nothing to store when every handover failed: the certificate may come again.
        if (handedOver | rejected != 0) _done[key] = before | handedOver | rejected;
    }

    function _handover(bytes memory data) private returns (uint256 done_) {
        address target = hook;
        assembly ("memory-safe") {
            if iszero(call(gas(), target, 0, add(data, 0x20), mload(data), 0, 0x20)) {
                returndatacopy(mload(0x40), 0, returndatasize())
                revert(mload(0x40), returndatasize())
            }
            done_ := mload(0)
        }
    }

    function _countRejected(bytes32 digest, Batch calldata batch, uint256 rejected) private {
        uint256 place;
        for (uint256 i = 0; i < batch.verdicts.length; ++i) {
            uint8 verdict = uint8(batch.verdicts[i]);
            if (verdict == 0) continue;
            if (rejected & (1 << i) != 0) emit TaskRejected(digest, batch.refused[place].userOpHash, verdict);
            ++place;
        }
    }

    // ---------------------------------------------------------------- reading

    /// @inheritdoc IAttestationCenter
    function done(bytes32 proposal, uint16 index) external view returns (uint256) {
        return _done[_batchKey(proposal, index)];
    }

    /// @inheritdoc IAttestationCenter
    function taskDefinition(uint16 id) external view returns (TaskDefinition memory) {
        Rule memory rule = _rules[id];
        return TaskDefinition(
            rule.approveNumerator,
            rule.approveDenominator,
            rule.rejectNumerator,
            rule.rejectDenominator,
            rule.minimumPower,
            rule.active,
            rule.maxAttesters,
            _attesterMinimum[id]
        );
    }

    /// @inheritdoc IAttestationCenter
    function slotStart(uint64 slot) public view returns (uint256) {
        return uint256(genesis) + uint256(slot) * slotSeconds;
    }

    /// @inheritdoc IAttestationCenter
    function requiredGas(PackedUserOperation[] calldata operations) external pure returns (uint256) {
        uint256 limits;
        for (uint256 i = 0; i < operations.length; ++i) {
            PackedUserOperation calldata operation = operations[i];
            uint256 both = uint256(operation.accountGasLimits);
            limits += (both >> 128) + uint128(both) + operation.preVerificationGas;
            bytes calldata paymaster = operation.paymasterAndData;
            if (paymaster.length >= 52) {
                limits += uint128(bytes16(paymaster[20:36])) + uint128(bytes16(paymaster[36:52]));
            }
        }
        return HandoverGas.required(operations.length, limits);
    }

    function _batchKey(bytes32 digest, uint16 index) private pure returns (bytes32 key) {
        assembly ("memory-safe") {
            mstore(0, digest)
            mstore(0x20, index)
            key := keccak256(0, 0x40)
        }
    }

    // ---------------------------------------------------------------- governance

    /// @inheritdoc IAttestationCenter
    function setTaskDefinition(uint16 id, TaskDefinition calldata definition) external onlyOwner {
        uint256 an = definition.approveNumerator;
        uint256 ad = definition.approveDenominator;
        uint256 rn = definition.rejectNumerator;
        uint256 rd = definition.rejectDenominator;
        // Approval takes more than an/ad and rejection at least rn/rd: no two disjoint groups reach both when an/ad + rn/rd >= 1.
        require(an < ad && rn != 0 && rn <= rd && an * rd + rn * ad >= ad * rd, TaskDefinitionInvalid());
        uint256 cap = definition.maxAttesters;
        require(cap <= Committee.MAX_SEATS, TooManyAttesters(cap, Committee.MAX_SEATS));
        require(cap == 0 || definition.minimumPower == 0, MinimumPowerUnderCap(definition.minimumPower));
        _rules[id] = Rule(
            definition.approveNumerator,
            definition.approveDenominator,
            definition.rejectNumerator,
            definition.rejectDenominator,
            definition.minimumPower,
            definition.active,
            definition.maxAttesters,
            definition.minimumAttesterPower != 0
        );
        _attesterMinimum[id] = definition.minimumAttesterPower;
        emit TaskDefinitionSet(id, definition);
    }
}
