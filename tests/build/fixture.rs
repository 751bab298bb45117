//! A slot's operations, made by the real stage against a real anvil whose contracts are stand-ins: each returns one constant,
//! which is all that a dry-run asks of them.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, FixedBytes, U256, Uint, keccak256};
use alloy::sol_types::SolValue;
use ditto_core::chain::bindings::validator_module::DittoValidatorModule::Session;
use ditto_core::chain::{Batcher, ChainConfig, ContractsConfig, Head, Rpc};
use ditto_core::consent::SigningDomain;
use ditto_core::network::NetworkConfig;
use ditto_core::operators::OperatorSet;
use ditto_core::proposal::{Pin, hash_pins};
use ditto_core::stage::{Deadline, Handler, Inbox, Pipeline, StageConfig};
use ditto_core::task::Occurrence;
use ditto_operator::board::Board;
use ditto_operator::build::Build;
use ditto_operator::build::policy::{Policy, Rule};
use ditto_operator::history::History;
use ditto_operator::ingest::Workflow;
use ditto_operator::simulate::{Simulated, SlotReads};
use ditto_operator::slot::{Due, SlotContext};
use ditto_sandbox::{Call, Outcome};
use serde_json::json;

use super::proxy::{Anvil, CHAIN, Proxy};

const MODULE: Address = Address::repeat_byte(0x11);
const ENTRY_POINT: Address = Address::repeat_byte(0x12);
const REGISTRY: Address = Address::repeat_byte(0x13);
const HOOK: Address = Address::repeat_byte(0x14);
const SESSION: Address = Address::repeat_byte(0x15);
const TARGET: Address = Address::repeat_byte(0x16);
/// The fee at which the slot's pin stands.
const BASE_FEE: u128 = 1_000_000_000;

/// Code that returns these bytes, whatever it is called with.
fn returns(bytes: &[u8]) -> String {
    let size = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    // PUSH2 size, PUSH2 15, PUSH1 0, CODECOPY, PUSH2 size, PUSH1 0, RETURN; and the bytes.
    let code = [&[0x61][..], &size, &[0x61, 0, 15, 0x60, 0, 0x39, 0x61], &size, &[0x60, 0, 0xf3], bytes].concat();
    alloy::hex::encode_prefixed(code)
}

/// A chain with stand-ins, and the proxy that counts what it is asked.
pub struct Fixture {
    pub anvil: Anvil,
    pub proxy: Proxy,
    pub rpc: Arc<Rpc>,
    network: Arc<NetworkConfig>,
    context: Arc<SlotContext>,
}

impl Fixture {
    pub async fn start() -> Self {
        let anvil = Anvil::start(0).await;
        let policy = Policy {
            rules: vec![Rule { target: TARGET, selector: FixedBytes::ZERO, maxValue: U256::ZERO }],
            maxValuePerOp: U256::ZERO,
            maxCallGas: 500_000,
            maxFeePerGas: 100 * BASE_FEE,
        }
        .abi_encode();
        let session = Session {
            sessionKey: SESSION,
            validAfter: Uint::ZERO,
            validUntil: Uint::ZERO,
            policyHash: keccak256(&policy),
        };
        for (at, code) in [
            (MODULE, returns(&session.abi_encode())),
            (ENTRY_POINT, returns(&[0; 32])),
            (REGISTRY, returns(&(Bytes::from(policy),).abi_encode_params())),
        ] {
            anvil.ask("anvil_setCode", json!([at, code])).await;
        }
        let block = anvil.mine(10).await;
        let proxy = Proxy::start(&anvil).await;
        let mut config = ChainConfig::new(vec![proxy.url.as_str().into()]);
        config.timeout_ms = 30_000;
        let rpc = Arc::new(Rpc::new(CHAIN, &config).unwrap());
        // The check of the chain is no part of any slot.
        rpc.ask(ditto_core::chain::Request::block(0)).await.unwrap();
        let network: NetworkConfig = serde_json::from_value(json!({
            "name": "test", "target_chain": CHAIN, "genesis_seconds": 1, "slot_seconds": 12, "aggregator": HOOK,
        }))
        .unwrap();
        let timestamp = 1_000;
        let head = Head { number: block.number, hash: block.hash, parent: B256::ZERO, timestamp, base_fee: BASE_FEE };
        let pins = vec![Pin { chain_id: CHAIN, number: block.number, hash: block.hash }];
        let context = Arc::new(SlotContext {
            slot: 100,
            start_seconds: 1_201,
            head,
            pins_hash: hash_pins(&pins),
            set: Arc::new(OperatorSet::new(1, Vec::new(), B256::ZERO)),
            ranks: Vec::new(),
            own_rank: None,
            own_index: None,
            own_standing: ditto_core::committee::Standing::Attests,
            reads: Arc::new(SlotReads::new(Arc::new(BTreeMap::new()), &pins)),
            pins,
            end: Deadline::none(),
            votes_until: Deadline::none(),
        });
        Self { anvil, proxy, rpc, network: Arc::new(network), context }
    }

    /// The stage, asking `node`.
    pub fn stage(&self, node: Batcher) -> Stage {
        let mut pipeline = Pipeline::new("test", Duration::from_secs(1));
        let sizes = StageConfig::waiting(4_096, 1);
        let (propose, proposed) = pipeline.queue("propose", &sizes);
        let (judge, judged) = pipeline.queue("judge", &sizes);
        let contracts = ContractsConfig {
            attestation_center: HOOK,
            obls: HOOK,
            hook: HOOK,
            validator_module: MODULE,
            registry: REGISTRY,
            entry_point: ENTRY_POINT,
        };
        let build = Build {
            network: self.network.clone(),
            contracts,
            domain: SigningDomain { chain_id: CHAIN, attestation_center: HOOK, entry_point: ENTRY_POINT },
            engine_id: B256::ZERO,
            node,
            policies: Mutex::new(HashMap::new()),
            board: Arc::new(Board::new(History::default())),
            propose,
            judge,
        };
        Stage { build, _held: (proposed, judged) }
    }

    /// A run that ended with one call, of a workflow and an account of its own.
    pub async fn run(&self, id: u64) -> Simulated {
        let account = Address::from_word(B256::from(U256::from(0xacc0_0000 + id)));
        // STOP: every call of the account works.
        self.anvil.ask("anvil_setCode", json!([account, "0x00"])).await;
        let workflow = Workflow {
            id,
            account,
            code_hash: B256::ZERO,
            session_key: SESSION,
            triggers: Ok(Vec::new()),
            trigger_hash: B256::ZERO,
            args: "{}".into(),
            valid_after: 0,
            valid_until: 0,
            published_at: 0,
        };
        let due = Due {
            context: self.context.clone(),
            occurrence: Occurrence { workflow: id, slot: self.context.slot },
            workflow: Arc::new(workflow),
            code: Arc::from(&b""[..]),
            evidence: Arc::from(&[][..]),
        };
        let call = Call { to: TARGET.into(), value: [0; 32], data: Vec::new() };
        Simulated { due, outcome: Outcome::Calls(vec![call]), reads: B256::ZERO }
    }
}

/// The stage; what it finds waits in queues that nobody reads.
pub struct Stage {
    build: Build,
    _held: (Inbox<ditto_operator::propose::Item>, Inbox<ditto_operator::attest::Item>),
}

impl Stage {
    /// Builds one; what it came to.
    pub async fn build(&self, run: Simulated) -> &'static str {
        self.build.handle(run, Deadline::none()).await
    }
}
