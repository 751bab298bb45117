//! A target chain (anvil) with Ditto's contracts, four registered operators and a few smart accounts.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, B256, Bytes, U64, U256, keccak256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolValue};
use ditto_core::bls::{Purpose, SecretKey, possession_digest};
use ditto_core::chain::bindings::attestation_center::AttestationCenter;
use ditto_core::chain::bindings::hook::DittoHook;
use ditto_core::chain::bindings::obls::OBLS;
use ditto_core::chain::bindings::validator_module::DittoValidatorModule;
use ditto_core::chain::{ChainConfig, ContractsConfig, Request, Rpc};
use ditto_core::consent::{Proposal, SigningDomain};
use ditto_core::network::NetworkConfig;
use ditto_core::proposal::{ProposedBatch, hash_batch, hash_batches, hash_pins};
use ditto_core::task::{ConsentTerms, Occurrence, Task};
use ditto_core::userop::{UserOperation, nonce_key};
use serde_json::json;

alloy::sol! {
    struct Session { address sessionKey; uint48 validAfter; uint48 validUntil; bytes32 policyHash; }
    function createAccount(address owner, address module, Session[] sessions, bytes32 salt) returns (address);
    function accountOf(address owner, address module, Session[] sessions, bytes32 salt) returns (address);
    function depositTo(address account);
    function record(uint256 occurrence);
    function total() returns (uint256);
    function fail(string why);
    function execute(bytes32 mode, bytes data);
}

pub const CHAIN: u64 = 31_337;
pub const SLOT_SECONDS: u64 = 2;

pub fn free_port() -> u16 {
    ditto_core::ports::free_port().unwrap()
}

pub fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

pub struct Anvil {
    child: Child,
    pub url: String,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// npm's anvil, or the path's.
fn program() -> PathBuf {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let below = format!("../node_modules/@foundry-rs/anvil-linux-{architecture}/bin/anvil");
    let packaged = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(below);
    if packaged.is_file() { packaged } else { "anvil".into() }
}

impl Anvil {
    pub fn start(port: u16) -> Self {
        let port_text = port.to_string();
        let child = Command::new(program())
            .args(["--port", &port_text, "--hardfork", "prague", "--slots-in-an-epoch", "1", "--gas-limit", "60000000"])
            .args(["--accounts", "2", "--quiet"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("anvil: run npm ci");
        Self { child, url: format!("http://127.0.0.1:{port}") }
    }
}

pub struct Operator {
    pub controller: Address,
    pub signer: PrivateKeySigner,
    pub consensus: SecretKey,
}

pub struct Chain {
    pub anvil: Anvil,
    pub rpc: Arc<Rpc>,
    pub contracts: ContractsConfig,
    pub network: NetworkConfig,
    pub submitter: PrivateKeySigner,
    /// Governance: an account that anvil signs for.
    pub owner: Address,
    pub operators: Vec<Operator>,
    pub accounts: Vec<Address>,
    pub counter: Address,
    pub mischief: Address,
}

fn bytecode(artifact: &str) -> Bytes {
    let value: serde_json::Value = serde_json::from_str(artifact).unwrap();
    serde_json::from_value(value["bytecode"].clone()).unwrap()
}

pub fn session_key() -> Address {
    Address::repeat_byte(0x5e)
}

/// Rules of a test's network.
#[derive(Clone, Copy)]
pub struct Rules {
    pub validity_slots: u64,
    /// Seconds after a slot's start from which others than the aggregator may submit.
    pub deadline: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self { validity_slots: 3, deadline: 60 }
    }
}

impl Chain {
    pub async fn start(operators: u8, accounts: u8) -> Self {
        Self::start_with(operators, accounts, Rules::default()).await
    }

    pub async fn start_with(operators: u8, accounts: u8, rules: Rules) -> Self {
        let anvil = Anvil::start(free_port());
        let config: ChainConfig = serde_json::from_value(json!({ "rpc": [anvil.url] })).unwrap();
        let rpc = Arc::new(Rpc::new(CHAIN, &config).unwrap());
        let mut left = 600;
        while let Err(error) = rpc.ask(Request::new("eth_chainId", &json!([]))).await {
            left -= 1;
            assert!(left > 0, "anvil does not answer at {}: {error}", anvil.url);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let owner: Vec<Address> = rpc.ask_for(Request::new("eth_accounts", &json!([]))).await.unwrap();
        let owner = owner[0];
        let submitter = PrivateKeySigner::random();
        let genesis = now_ms() / 1000 - 1_000;
        let network: NetworkConfig = serde_json::from_value(json!({
            "name": "test", "target_chain": CHAIN, "genesis_seconds": genesis, "slot_seconds": SLOT_SECONDS,
            "aggregator": submitter.address(), "set_settles_blocks": 4, "validity_slots": rules.validity_slots,
        }))
        .unwrap();
        let zero = Address::ZERO;
        let mut chain = Self {
            anvil,
            rpc,
            contracts: ContractsConfig {
                attestation_center: zero,
                obls: zero,
                hook: zero,
                validator_module: zero,
                registry: zero,
                entry_point: zero,
            },
            network,
            submitter,
            owner,
            operators: Vec::new(),
            accounts: Vec::new(),
            counter: zero,
            mischief: zero,
        };
        chain.deploy(owner, rules.deadline).await;
        for seed in 1..=operators {
            chain.register(seed).await;
        }
        let powers = chain.operators.iter().map(|_| alloy::primitives::Uint::from(100)).collect();
        let controllers = chain.operators.iter().map(|operator| operator.controller).collect();
        chain.send(owner, chain.contracts.obls, OBLS::setVotingPowerCall { controllers, powers }.abi_encode(), 0).await;
        chain.send(owner, chain.contracts.obls, OBLS::commitSetCall {}.abi_encode(), 0).await;
        chain.create_accounts(owner, accounts).await;
        chain.fund(chain.submitter.address()).await;
        chain.ask("anvil_mine", json!([U64::from(8)])).await;
        chain.ask("evm_setIntervalMining", json!([1])).await;
        chain
    }

    pub async fn ask(&self, method: &'static str, params: serde_json::Value) -> serde_json::Value {
        let answer = self.rpc.ask(Request::new(method, &params)).await.unwrap_or_else(|e| panic!("{method}: {e}"));
        serde_json::from_str(answer.get()).unwrap()
    }

    pub async fn fund(&self, address: Address) {
        self.ask("anvil_setBalance", json!([address, U256::from(10).pow(U256::from(24))])).await;
    }

    async fn transact(&self, transaction: serde_json::Value) -> serde_json::Value {
        let hash = self.ask("eth_sendTransaction", json!([transaction])).await;
        // Mined at once, yet the answer may overtake the block.
        let mut receipt = serde_json::Value::Null;
        for _ in 0..12_000 {
            receipt = self.ask("eth_getTransactionReceipt", json!([hash])).await;
            if !receipt.is_null() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let shown: String = transaction.to_string().chars().take(300).collect();
        assert_eq!(receipt["status"], "0x1", "{shown} failed");
        receipt
    }

    async fn send(&self, from: Address, to: Address, data: Vec<u8>, value: u64) {
        let gas = U64::from(10_000_000);
        let value = U256::from(value);
        self.transact(json!({ "from": from, "to": to, "data": Bytes::from(data), "gas": gas, "value": value })).await;
    }

    async fn create(&self, from: Address, code: &Bytes, arguments: Vec<u8>) -> Address {
        let data = Bytes::from([code.as_ref(), &arguments].concat());
        let receipt = self.transact(json!({ "from": from, "data": data, "gas": U64::from(16_000_000) })).await;
        serde_json::from_value(receipt["contractAddress"].clone()).unwrap()
    }

    async fn nonce(&self, of: Address) -> u64 {
        let nonce: U64 =
            serde_json::from_value(self.ask("eth_getTransactionCount", json!([of, "latest"])).await).unwrap();
        nonce.to()
    }

    async fn deploy(&mut self, owner: Address, deadline: u32) {
        // At whatever address: its code is what counts, and nothing here knows the canonical one.
        let entry_point = self.create(owner, &bytecode(include_str!("../../../abi/EntryPoint.json")), Vec::new()).await;
        let obls = self.create(owner, &OBLS::BYTECODE, (owner, 600u64).abi_encode_params()).await;
        let nonce = self.nonce(owner).await;
        let (module, center) = (owner.create(nonce + 1), owner.create(nonce + 2));
        let hook = self.create(owner, &DittoHook::BYTECODE, (entry_point, center, module).abi_encode_params()).await;
        self.create(owner, &DittoValidatorModule::BYTECODE, (hook,).abi_encode_params()).await;
        let arguments =
            (owner, obls, hook, entry_point, self.network.genesis_seconds, 2u32, deadline).abi_encode_params();
        assert_eq!(self.create(owner, &AttestationCenter::BYTECODE, arguments).await, center);
        self.contracts = ContractsConfig {
            attestation_center: center,
            obls,
            hook,
            validator_module: module,
            registry: Address::ZERO,
            entry_point,
        };
        self.cap_attesters(owner, 0).await;
        self.send(owner, obls, OBLS::setPowerSourceCall { powerSource_: owner }.abi_encode(), 0).await;
        let counter = bytecode(include_str!("../../../abi/OccurrenceCounter.json"));
        self.counter = self.create(owner, &counter, Vec::new()).await;
        self.mischief = self.create(owner, &bytecode(include_str!("../../../abi/Mischief.json")), Vec::new()).await;
    }

    /// Governance's rule: two thirds and one third, of everybody's power or of so many seats.
    pub async fn cap_attesters(&self, owner: Address, max_attesters: u16) {
        let definition = AttestationCenter::TaskDefinition {
            approveNumerator: 2,
            approveDenominator: 3,
            rejectNumerator: 1,
            rejectDenominator: 3,
            minimumPower: Default::default(),
            active: true,
            maxAttesters: max_attesters,
            minimumAttesterPower: Default::default(),
        };
        let call = AttestationCenter::setTaskDefinitionCall { id: self.network.task_definition, definition };
        self.send(owner, self.contracts.attestation_center, call.abi_encode(), 0).await;
    }

    async fn register(&mut self, seed: u8) {
        let consensus = SecretKey::derive(&[seed; 32]).unwrap();
        let controller = Address::repeat_byte(seed);
        let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(seed)).unwrap();
        let key = consensus.public();
        let possession =
            consensus.sign(&possession_digest(controller, CHAIN, self.contracts.obls, &key).0, Purpose::Possession);
        let point = possession.to_eip2537();
        let call = OBLS::registerCall {
            key: key.to_eip2537().to_vec().into(),
            possession: std::array::from_fn(|word| B256::from_slice(&point[word * 32..(word + 1) * 32])),
            signer: signer.address(),
        };
        self.fund(controller).await;
        self.ask("anvil_impersonateAccount", json!([controller])).await;
        self.send(controller, self.contracts.obls, call.abi_encode(), 0).await;
        self.operators.push(Operator { controller, signer, consensus });
    }

    async fn create_accounts(&mut self, owner: Address, count: u8) {
        let code = bytecode(include_str!("../../../abi/DittoAccountFactory.json"));
        let factory = self.create(owner, &code, (self.contracts.entry_point,).abi_encode_params()).await;
        for index in 0..count {
            let session = Session {
                sessionKey: session_key(),
                validAfter: Default::default(),
                validUntil: Default::default(),
                policyHash: keccak256("policy"),
            };
            let module = self.contracts.validator_module;
            let salt = B256::with_last_byte(index);
            let call = accountOfCall { owner, module, sessions: vec![session.clone()], salt }.abi_encode();
            let at = json!([{ "to": factory, "data": Bytes::from(call) }, "latest"]);
            let word: B256 = serde_json::from_value(self.ask("eth_call", at).await).unwrap();
            let account = Address::from_word(word);
            let call = createAccountCall { owner, module, sessions: vec![session], salt }.abi_encode();
            self.send(owner, factory, call, 0).await;
            let deposit = depositToCall { account }.abi_encode();
            self.send(owner, self.contracts.entry_point, deposit, 1_000_000_000_000_000_000).await;
            self.accounts.push(account);
        }
    }

    pub fn domain(&self) -> SigningDomain {
        SigningDomain {
            chain_id: CHAIN,
            attestation_center: self.contracts.attestation_center,
            entry_point: self.contracts.entry_point,
        }
    }

    pub fn slot(&self) -> u64 {
        self.network.schedule().slot_at_ms(now_ms()).unwrap()
    }

    /// An operation of an account that calls a target.
    pub fn task(&self, account: usize, slot: u64, target: Address, call: &[u8]) -> Task {
        let occurrence = Occurrence { workflow: account as u64 + 1, slot };
        let data = [target.as_slice(), &[0; 32], call].concat();
        let call_data = executeCall { mode: B256::ZERO, data: data.into() }.abi_encode();
        Task {
            occurrence,
            op: UserOperation {
                sender: self.accounts[account],
                nonce: nonce_key(self.contracts.validator_module, occurrence) << 64,
                call_data: call_data.into(),
                verification_gas: 120_000,
                call_gas: 150_000,
                pre_verification_gas: 50_000,
                max_fee: 5_000_000_000,
                max_priority_fee: 1_000_000,
            },
            terms: ConsentTerms {
                session_key: session_key(),
                valid_after: 0,
                valid_until: self.network.valid_until(slot),
            },
            evidence: Vec::new(),
            run: keccak256("run"),
        }
    }

    pub fn record(&self, account: usize, slot: u64) -> Task {
        let occurrence = Occurrence { workflow: account as u64 + 1, slot }.number();
        self.task(account, slot, self.counter, &recordCall { occurrence }.abi_encode())
    }

    pub fn revert(&self, account: usize, slot: u64) -> Task {
        self.task(account, slot, self.mischief, &failCall { why: "on purpose".into() }.abi_encode())
    }

    pub async fn executions(&self) -> u64 {
        let call = json!([{ "to": self.counter, "data": Bytes::from(totalCall {}.abi_encode()) }, "latest"]);
        let total: U256 = serde_json::from_value(self.ask("eth_call", call).await).unwrap();
        total.to()
    }

    pub fn propose(&self, performer: &PrivateKeySigner, set_id: u32, slot: u64, tasks: Vec<Task>) -> ProposedBatch {
        use alloy::signers::SignerSync;
        let domain = self.domain();
        let batch_hashes = vec![hash_batch(&domain, &tasks)];
        let proposal = Proposal {
            slot,
            setId: set_id,
            taskDefinitionId: self.network.task_definition,
            performer: performer.address(),
            aggregator: self.network.aggregator,
            pins: hash_pins(&[]),
            tasks: hash_batches(&batch_hashes),
            targetChainId: U256::from(CHAIN),
        };
        let signature = performer.sign_hash_sync(&domain.proposal_digest(&proposal)).unwrap().as_bytes();
        ProposedBatch { proposal, signature, engine_id: B256::ZERO, pins: Vec::new(), batch_hashes, index: 0, tasks }
    }
}
