// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Bls} from "../src/Bls.sol";

/// BLS signing inside the EVM, with the MSM precompiles of EIP-2537. Secret keys of tests are plain numbers.
library Signing {
    uint256 internal constant R = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;

    bytes internal constant G2_GENERATOR = hex"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051"
        hex"c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
        hex"0000000000000000000000000000000013e02b6052719f607dacd3a088274f65"
        hex"596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
        hex"000000000000000000000000000000000ce5d527727d6e118cc9cdc6da2e351a"
        hex"adfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801"
        hex"000000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99"
        hex"cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be";

    function publicKey(uint256 secret) internal view returns (bytes memory key) {
        bool ok;
        (ok, key) = address(0x0e).staticcall(abi.encodePacked(G2_GENERATOR, secret));
        require(ok, "G2MSM failed");
    }

    function hash(bytes memory dst, bytes32 message) internal view returns (bytes memory point) {
        point = new bytes(128);
        uint256 to;
        assembly {
            to := add(point, 0x20)
        }
        Bls.hashToG1(dst, message, to);
    }

    function sign(bytes memory dst, uint256 secret, bytes32 message) internal view returns (bytes32[4] memory) {
        (bool ok, bytes memory point) = address(0x0c).staticcall(abi.encodePacked(hash(dst, message), secret));
        require(ok, "G1MSM failed");
        return abi.decode(point, (bytes32[4]));
    }

    function vote(uint256 secret, bytes32 message) internal view returns (bytes32[4] memory) {
        return sign(Bls.DST_VOTE, secret, message);
    }

    function possession(uint256 secret, bytes32 message) internal view returns (bytes32[4] memory) {
        return sign(Bls.DST_POSSESSION, secret, message);
    }
}
