// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Bls} from "./Bls.sol";
import {OperatorSets} from "./OperatorSets.sol";
import {IOBLS, Set, Member} from "./interfaces/IOBLS.sol";

/// @title Operators, and the sets they are frozen into.
/// @notice Registration and voting power change at any time; a certificate is checked against a set, which never changes
///         (but for the jailed, who count zero at once). How a set is kept and verified is in OperatorSets.
contract OBLS is IOBLS, OperatorSets, Ownable {
    struct Operator {
        address signer;
        uint96 power;
        address key; // contract whose code is the key, 192 bytes
        bool jailed;
    }

    mapping(address controller => Operator) private _operators;
    address[] private _controllers;
    mapping(bytes32 keyHash => bool) private _keyTaken;
    mapping(address signer => bool) private _signerTaken;

    /// @param owner_ governance
    /// @param graceSeconds_ how long a superseded set stays accepted; must be shorter than the unbonding period
    constructor(address owner_, uint64 graceSeconds_) Ownable(owner_) {
        _setGrace(graceSeconds_);
    }

    modifier onlyPowerSource() {
        require(msg.sender == _state.powerSource, OnlyPowerSource(msg.sender));
        _;
    }

    // ---------------------------------------------------------------- operators

    /// @inheritdoc IOBLS
    function register(bytes calldata key, bytes32[4] calldata possession, address signer) external {
        require(_operators[msg.sender].key == address(0), AlreadyRegistered(msg.sender));
        require(key.length == Bls.G2_SIZE, KeyMalformed());
        require(!_keyTaken[keccak256(key)], KeyInUse(keccak256(key)));
        (bool infinite, bool possessed, address chunk) = _admitKey(key, possessionMessage(msg.sender, key), possession);
        require(!infinite, KeyAtInfinity());
        require(possessed, PossessionInvalid());

        _keyTaken[keccak256(key)] = true;
        _takeSigner(signer);
        _operators[msg.sender] = Operator(signer, 0, chunk, false);
        _controllers.push(msg.sender);
        emit OperatorRegistered(msg.sender, signer, key);
    }

    /// @inheritdoc IOBLS
    function setSigner(address signer) external {
        Operator storage operator = _registered(msg.sender);
        delete _signerTaken[operator.signer];
        _takeSigner(signer);
        operator.signer = signer;
        emit SignerChanged(msg.sender, signer);
    }

    /// @inheritdoc IOBLS
    function setVotingPower(address[] calldata controllers, uint96[] calldata powers) external onlyPowerSource {
        require(controllers.length == powers.length, LengthMismatch(controllers.length, powers.length));
        for (uint256 i = 0; i < controllers.length; ++i) {
            _registered(controllers[i]).power = powers[i];
            emit VotingPowerChanged(controllers[i], powers[i]);
        }
    }

    /// @inheritdoc IOBLS
    function setJailed(address controller, bool jailed) external onlyPowerSource {
        Operator storage operator = _registered(controller);
        if (operator.jailed == jailed) return;
        operator.jailed = jailed;
        _markJailed(controller, jailed);
        emit JailedChanged(controller, jailed);
    }

    /// @inheritdoc IOBLS
    function commitSet() external onlyPowerSource returns (uint32 setId) {
        uint256 registered = _controllers.length;
        Draft[] memory drafts = new Draft[](registered);
        uint256 size;
        for (uint256 i = 0; i < registered; ++i) {
            address controller = _controllers[i];
            Operator storage operator = _operators[controller];
            (address signer, uint96 power) = (operator.signer, operator.power);
            if (power == 0 || operator.jailed) continue;
            drafts[size++] = Draft(controller, signer, power, operator.key);
        }
        return _commit(drafts, size);
    }

    /// @inheritdoc IOBLS
    function operatorCount() external view returns (uint256) {
        return _controllers.length;
    }

    /// @inheritdoc IOBLS
    function operatorOf(address controller) external view returns (Member memory member, bool jailed) {
        Operator storage operator = _operators[controller];
        bytes memory key = operator.key == address(0) ? bytes("") : _keyAt(operator.key);
        return (Member(controller, operator.signer, operator.power, key), operator.jailed);
    }

    /// @inheritdoc IOBLS
    function possessionMessage(address controller, bytes calldata key) public view returns (bytes32) {
        return keccak256(abi.encode(controller, block.chainid, address(this), key));
    }

    function _registered(address controller) private view returns (Operator storage operator) {
        operator = _operators[controller];
        require(operator.key != address(0), NotRegistered(controller));
    }

    function _takeSigner(address signer) private {
        require(signer != address(0), SignerZero());
        require(!_signerTaken[signer], SignerInUse(signer));
        _signerTaken[signer] = true;
    }

    // ---------------------------------------------------------------- governance

    /// @inheritdoc IOBLS
    function setPowerSource(address powerSource_) external onlyOwner {
        _state.powerSource = powerSource_;
        emit PowerSourceChanged(powerSource_);
    }

    /// @inheritdoc IOBLS
    function setGraceSeconds(uint64 graceSeconds_) external onlyOwner {
        _setGrace(graceSeconds_);
    }

    /// @inheritdoc IOBLS
    function powerSource() external view returns (address) {
        return _state.powerSource;
    }

    function _setGrace(uint64 graceSeconds_) private {
        require(graceSeconds_ <= type(uint32).max, GraceTooLong(graceSeconds_));
        _state.graceSeconds = uint32(graceSeconds_);
        emit GraceChanged(graceSeconds_);
    }
}
