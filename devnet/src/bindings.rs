//! Contracts that only the devnet speaks to: the EntryPoint's deposits and bundles, accounts, demo targets. The others are bound in
//! `ditto_core::chain::bindings`.

#![allow(missing_docs, clippy::too_many_arguments, clippy::pub_underscore_fields)]

pub mod entry_point {
    use alloy::primitives::Bytes;
    use anyhow::Context;
    use serde::Deserialize;

    // Not from the artifact: the generator mixes up the scopes of its structs.
    alloy::sol! {
        #[derive(Debug)]
        interface EntryPoint {
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

            function depositTo(address account) external payable;
            function handleOps(PackedUserOperation[] calldata ops, address payable beneficiary) external;
        }
    }

    #[derive(Deserialize)]
    struct Artifact {
        bytecode: Bytes,
    }

    /// What the canonical EntryPoint is deployed from.
    pub fn bytecode() -> anyhow::Result<Bytes> {
        let artifact: Artifact =
            serde_json::from_str(include_str!("../../abi/EntryPoint.json")).context("abi/EntryPoint.json")?;
        Ok(artifact.bytecode)
    }
}

pub mod account {
    alloy::sol!(
        #[derive(Debug)]
        DittoAccount,
        "../abi/DittoAccount.json"
    );
}

pub mod account_factory {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug)]
        DittoAccountFactory,
        "../abi/DittoAccountFactory.json"
    );
}

pub mod counter {
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug)]
        OccurrenceCounter,
        "../abi/OccurrenceCounter.json"
    );
}

pub mod token {
    alloy::sol!(
        #[derive(Debug)]
        DemoToken,
        "../abi/DemoToken.json"
    );
}

pub mod oracle {
    alloy::sol!(
        #[derive(Debug)]
        DemoOracle,
        "../abi/DemoOracle.json"
    );
}

pub mod vault {
    alloy::sol!(
        #[derive(Debug)]
        DemoVault,
        "../abi/DemoVault.json"
    );
}
