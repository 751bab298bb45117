//! The contracts: Ditto's, the EntryPoint at its canonical address, and what the example workflows act on.

use alloy::primitives::{Address, B256, Bytes, I256, U256, address, b256};
use alloy::providers::Provider;
use alloy::sol_types::{SolCall, SolValue};
use anyhow::{Context, ensure};
use ditto_core::chain::ContractsConfig;
use ditto_core::chain::bindings::attestation_center::AttestationCenter;
use ditto_core::chain::bindings::hook::DittoHook;
use ditto_core::chain::bindings::obls::OBLS;
use ditto_core::chain::bindings::registry::WorkflowRegistry;
use ditto_core::chain::bindings::validator_module::DittoValidatorModule;
use ditto_core::network::NetworkConfig;

use crate::anvil::Chain;
use crate::bindings::account_factory::DittoAccountFactory;
use crate::bindings::counter::OccurrenceCounter;
use crate::bindings::entry_point;
use crate::bindings::oracle::DemoOracle;
use crate::bindings::token::DemoToken;
use crate::bindings::vault::DemoVault;
use crate::transactions::{Row, Sender};

/// The deterministic deployer that every chain has, and the salt that leads to EntryPoint v0.7's address.
const CREATE2_DEPLOYER: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");
const ENTRY_POINT_SALT: B256 = b256!("90d8084deab30c2a37c45e8d47f49f2f7965183cb6990a98943ef94940681de3");
const ENTRY_POINT: Address = address!("0000000071727De22E5E9d8BAf0edAc6f37da032");
/// Seconds for which a superseded operator set stays accepted.
const GRACE_SECONDS: u64 = 600;

/// What the oracle says, and the floor below which the example rebalances, in 1e-8 dollars.
pub const ORACLE_ANSWER: u64 = 1_900 * 100_000_000;
/// See [`ORACLE_ANSWER`].
pub const ORACLE_FLOOR: u64 = 2_000 * 100_000_000;

/// The example workflows' targets.
#[derive(Clone, Copy, Debug)]
pub struct Demo {
    /// Counts executions by account and occurrence: the independent witness.
    pub counter: Address,
    /// What is transferred.
    pub token: Address,
    /// What is read.
    pub oracle: Address,
    /// What is rebalanced.
    pub vault: Address,
    /// What events and conditions look at: an oracle that counts.
    pub signal: Address,
}

/// Everything that was deployed.
#[derive(Clone, Copy, Debug)]
pub struct Contracts {
    /// Ditto's contracts.
    pub ditto: ContractsConfig,
    /// The targets.
    pub demo: Demo,
    /// Makes accounts.
    pub factory: Address,
}

/// Deploys everything, in one row. `max_attesters` is the cap of the task definition; 0: none.
///
/// # Errors
/// Names what failed.
pub async fn deploy(
    chain: &Chain,
    governance: &mut Sender,
    network: &NetworkConfig,
    max_attesters: u16,
) -> anyhow::Result<Contracts> {
    let owner = governance.address();
    let mut all = Deployment { sender: governance, row: Row::new(chain) };

    let entry_point = [ENTRY_POINT_SALT.as_slice(), &entry_point::bytecode()?].concat();
    let deployed = all.sender.call("deploy EntryPoint", CREATE2_DEPLOYER, U256::ZERO, entry_point, 6_000_000).await?;
    all.row.add(deployed).await?;

    let obls = all.deploy("OBLS", &OBLS::BYTECODE, (owner, GRACE_SECONDS).abi_encode_params()).await?;
    let registry = all.deploy("WorkflowRegistry", &WorkflowRegistry::BYTECODE, Vec::new()).await?;
    // Hook, module and AttestationCenter know each other; the center comes last and checks the wiring.
    let (module, center) = (all.sender.deploys_at(1), all.sender.deploys_at(2));
    let arguments = (ENTRY_POINT, center, module).abi_encode_params();
    let hook = all.deploy("DittoHook", &DittoHook::BYTECODE, arguments).await?;
    let validator_module = all.deploy("module", &DittoValidatorModule::BYTECODE, (hook,).abi_encode_params()).await?;
    // The named aggregator has a slot; then any operator may submit.
    let deadline = u32::try_from(network.slot_seconds).context("slot_seconds does not fit 32 bits")?;
    let arguments = (owner, obls, hook, ENTRY_POINT, network.genesis_seconds, deadline, deadline).abi_encode_params();
    let attestation_center = all.deploy("AttestationCenter", &AttestationCenter::BYTECODE, arguments).await?;

    let demo = Demo {
        counter: all.deploy("OccurrenceCounter", &OccurrenceCounter::BYTECODE, Vec::new()).await?,
        token: all.deploy("DemoToken", &DemoToken::BYTECODE, ("Demo Dollar", "DEMO").abi_encode_params()).await?,
        oracle: all
            .deploy("DemoOracle", &DemoOracle::BYTECODE, (I256::unchecked_from(ORACLE_ANSWER),).abi_encode_params())
            .await?,
        vault: all.deploy("DemoVault", &DemoVault::BYTECODE, Vec::new()).await?,
        signal: all.deploy("signal", &DemoOracle::BYTECODE, (I256::ZERO,).abi_encode_params()).await?,
    };
    let factory =
        all.deploy("DittoAccountFactory", &DittoAccountFactory::BYTECODE, (ENTRY_POINT,).abi_encode_params()).await?;

    let definition = AttestationCenter::TaskDefinition {
        approveNumerator: 2,
        approveDenominator: 3,
        rejectNumerator: 1,
        rejectDenominator: 3,
        minimumPower: alloy::primitives::Uint::ZERO,
        active: true,
        maxAttesters: max_attesters,
        minimumAttesterPower: alloy::primitives::Uint::ZERO,
    };
    let call = AttestationCenter::setTaskDefinitionCall { id: network.task_definition, definition };
    all.call("set the task definition", attestation_center, call.abi_encode()).await?;
    all.call("set the power source", obls, OBLS::setPowerSourceCall { powerSource_: owner }.abi_encode()).await?;
    all.row.finish().await?;
    let code = chain.provider.get_code_at(ENTRY_POINT).await.context("cannot look at the EntryPoint")?;
    ensure!(!code.is_empty(), "the EntryPoint did not land at {ENTRY_POINT}: abi/EntryPoint.json is not v0.7's");
    let ditto =
        ContractsConfig { attestation_center, obls, hook, validator_module, registry, entry_point: ENTRY_POINT };
    Ok(Contracts { ditto, demo, factory })
}

/// What deploys.
struct Deployment<'a> {
    sender: &'a mut Sender,
    row: Row,
}

impl Deployment<'_> {
    async fn deploy(&mut self, what: &str, bytecode: &Bytes, arguments: Vec<u8>) -> anyhow::Result<Address> {
        let (at, pending) = self.sender.deploy(what, bytecode, arguments).await?;
        self.row.add(pending).await?;
        Ok(at)
    }

    async fn call(&mut self, what: &str, to: Address, data: Vec<u8>) -> anyhow::Result<()> {
        let pending = self.sender.call(what, to, U256::ZERO, data, 500_000).await?;
        self.row.add(pending).await
    }
}
