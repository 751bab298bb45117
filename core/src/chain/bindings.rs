//! Contract bindings, generated from the checked-in artifacts in `abi/`.
//!
//! Each contract has a module of its own, because the generator repeats the structs that contracts share. The modules
//! that only the devnet needs (EntryPoint, accounts, demo targets) are bound there.

#![allow(missing_docs, clippy::too_many_arguments, clippy::pub_underscore_fields)]

pub mod attestation_center {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        AttestationCenter,
        "../abi/AttestationCenter.json"
    );
}

pub mod obls {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        OBLS,
        "../abi/OBLS.json"
    );
}

pub mod hook {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        DittoHook,
        "../abi/DittoHook.json"
    );
}

pub mod validator_module {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        DittoValidatorModule,
        "../abi/DittoValidatorModule.json"
    );
}

pub mod registry {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq, Eq)]
        WorkflowRegistry,
        "../abi/WorkflowRegistry.json"
    );
}

pub mod call_meter {
    alloy::sol!(
        #[derive(Debug, PartialEq, Eq)]
        CallMeter,
        "../abi/CallMeter.json"
    );
}

pub mod dry_run {
    alloy::sol!(
        #[derive(Debug, PartialEq, Eq)]
        DryRun,
        "../abi/DryRun.json"
    );
}

alloy::sol! {
    /// A user operation as EntryPoint v0.7 takes it; the generated modules have their own copies.
    #[derive(Debug, PartialEq, Eq)]
    struct PackedUserOperation {
        address sender;
        uint256 nonce;
        bytes initCode;
        bytes callData;
        bytes32 accountGasLimits;
        uint256 preVerificationGas;
        bytes32 gasFees;
        bytes paymasterAndData;
        bytes signature;
    }

    /// The part of EntryPoint v0.7 that operators read.
    #[sol(rpc)]
    #[derive(Debug)]
    interface EntryPoint {
        event UserOperationEvent(
            bytes32 indexed userOpHash,
            address indexed sender,
            address indexed paymaster,
            uint256 nonce,
            bool success,
            uint256 actualGasCost,
            uint256 actualGasUsed
        );
        event UserOperationRevertReason(
            bytes32 indexed userOpHash, address indexed sender, uint256 nonce, bytes revertReason
        );
        error FailedOp(uint256 opIndex, string reason);
        function getNonce(address sender, uint192 key) external view returns (uint256 nonce);
        function balanceOf(address account) external view returns (uint256);
    }
}
