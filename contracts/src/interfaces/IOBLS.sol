// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A snapshot of the operators.
/// @param createdAtBlock block of the snapshot
/// @param supersededAt unix seconds at which the next set replaced it; 0 while current
/// @param size members
/// @param totalPower sum of the members' voting power at the snapshot
/// @param keys contracts that hold the snapshot as code, in order
/// @param randomness prevrandao of the snapshot's block: what committees are drawn by
struct Set {
    uint64 createdAtBlock;
    uint64 supersededAt;
    uint32 size;
    uint96 totalPower;
    address[] keys;
    bytes32 randomness;
}

/// @notice Who of a set counts for a slot's tasks.
/// @param slot the slot; with a cap every slot has a committee of its own
/// @param taskDefinitionId the task definition; and every definition
/// @param seats the cap; 0: none, every member with the minimum counts by its power
/// @param minimumPower power, at the snapshot, below which a member does not count
struct Electorate {
    uint64 slot;
    uint16 taskDefinitionId;
    uint16 seats;
    uint96 minimumPower;
}

/// @notice A member of a set; its place in membersOf is its bit in a certificate's bitmap.
/// @param key BLS12-381 G2 point, EIP-2537 encoding (256 bytes)
struct Member {
    address controller;
    address signer;
    uint96 power;
    bytes key;
}

/// @title Operator sets and verification of their aggregated BLS signatures.
interface IOBLS {
    event OperatorRegistered(address indexed controller, address indexed signer, bytes key);
    event SignerChanged(address indexed controller, address indexed signer);
    event VotingPowerChanged(address indexed controller, uint96 power);
    event JailedChanged(address indexed controller, bool jailed);
    event PowerSourceChanged(address indexed powerSource);
    event GraceChanged(uint64 graceSeconds);
    event SetCommitted(uint32 indexed setId, uint32 size, uint96 totalPower);

    error OnlyPowerSource(address caller);
    error AlreadyRegistered(address controller);
    error NotRegistered(address controller);
    error KeyInUse(bytes32 keyHash);
    error SignerInUse(address signer);
    error SignerZero();
    error KeyMalformed();
    error KeyAtInfinity();
    error PossessionInvalid();
    error LengthMismatch(uint256 controllers, uint256 powers);
    error EmptySet();
    error PowerOverflow(uint256 totalPower);
    error GraceTooLong(uint64 graceSeconds);
    error TooManyMembers(uint256 members, uint256 limit);
    error SetUnknown(uint32 setId);
    error BitmapLength(uint256 length, uint256 expected);
    error SignerOutOfSet(uint256 size);
    error NoSigners();
    error SignatureAtInfinity();
    error SignatureInvalid();
    error AggregateAtInfinity();
    error SignersNotEntitled(uint256 signers, uint256 entitled);
    error TooManySeats(uint256 seats, uint256 limit);
    error NoRandomness(uint32 setId);

    /// @notice Registers the caller as an operator's controller.
    /// @param key G2 public key, EIP-2537 encoding, 256 bytes, not infinity
    /// @param possession signature by that key over possessionMessage(caller, key)
    /// @param signer delegated signer (ECDSA)
    function register(bytes calldata key, bytes32[4] calldata possession, address signer) external;

    /// @notice Changes the caller's delegated signer; counts from the next set on.
    function setSigner(address signer) external;

    /// @notice Sets voting power, counted from the next set on. Only the power source.
    function setVotingPower(address[] calldata controllers, uint96[] calldata powers) external;

    /// @notice A jailed operator counts zero in every set at once, accepted ones included. Only the power source.
    function setJailed(address controller, bool jailed) external;

    /// @notice Snapshots the operators that have power and are not jailed. Only the power source.
    /// @return setId numbered from 1
    function commitSet() external returns (uint32 setId);

    /// @notice Names who syncs voting power. Only the owner.
    function setPowerSource(address powerSource) external;

    /// @notice How long the set before the current one stays accepted, seconds. Only the owner.
    function setGraceSeconds(uint64 graceSeconds) external;

    function powerSource() external view returns (address);
    function graceSeconds() external view returns (uint64);

    /// @notice 0 before the first set.
    function currentSetId() external view returns (uint32);

    /// @notice The current set, or the one before within the grace time.
    function isAccepted(uint32 setId) external view returns (bool);

    function setOf(uint32 setId) external view returns (Set memory);
    function membersOf(uint32 setId) external view returns (Member[] memory);

    /// @notice Whether `signer` is the delegated signer of a member that is not jailed.
    function isMember(uint32 setId, address signer) external view returns (bool);

    /// @notice Bitmap of the set's members that are jailed now (bit i % 256 of word i / 256).
    function jailedOf(uint32 setId) external view returns (uint256[] memory);

    function operatorCount() external view returns (uint256);

    /// @notice The operator of a controller as registered now; empty key when none.
    function operatorOf(address controller) external view returns (Member memory operator, bool jailed);

    /// @notice keccak256(abi.encode(address controller, uint256 chainid, address obls, bytes key)), what a proof of possession signs.
    function possessionMessage(address controller, bytes calldata key) external view returns (bytes32);

    /// @notice Verifies an aggregated signature of members of a set.
    /// @dev Does not ask whether the set is accepted: that is isAccepted's answer.
    /// @param message 32 bytes that were hashed to G1
    /// @param signers bitmap of exactly ceil(size / 8) bytes, bit i is bit (i % 8) of byte (i / 8)
    /// @return signedPower power of the signers that are not jailed
    /// @return totalPower power of the set without the jailed
    function verify(uint32 setId, bytes32 message, bytes calldata signers, bytes32[4] calldata signature)
        external
        view
        returns (uint256 signedPower, uint256 totalPower);

    /// @notice Verifies an aggregated signature of members of a set that count for a slot's tasks, and no others.
    /// @dev Jailing moves no seat: a jailed member's seats count zero, on both sides.
    /// @return signed seats of the signers that are not jailed; their power, when all that are eligible find a seat
    /// @return total all seats, or all eligible power, without the jailed
    function verifyAmong(
        uint32 setId,
        Electorate calldata electorate,
        bytes32 message,
        bytes calldata signers,
        bytes32[4] calldata signature
    ) external view returns (uint256 signed, uint256 total);

    /// @notice The members (places in the set) that own the seats, ascending; empty when no committee is drawn.
    function committeeOf(uint32 setId, Electorate calldata electorate) external view returns (uint16[] memory owners);
}
