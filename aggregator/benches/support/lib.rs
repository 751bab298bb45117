//! A network without a chain: an operator set, batches of tasks, votes that are really signed, and the aggregator's first
//! stages around them.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use ditto_aggregator::ask::Ask;
use ditto_aggregator::bans::Bans;
use ditto_aggregator::batch::Batch;
use ditto_aggregator::collect::{Asked, Screening};
use ditto_aggregator::config::{CollectionConfig, EvidenceConfig, VerificationConfig};
use ditto_aggregator::evidence::Store;
use ditto_aggregator::governance::Governance;
use ditto_aggregator::verify::{Gathering, Question, Verified, Verify};
use ditto_core::admission::AcceptedSets;
use ditto_core::bls::{Purpose, SecretKey};
use ditto_core::clock::{Clock, SlotClock};
use ditto_core::consent::{Proposal, SigningDomain};
use ditto_core::network::NetworkConfig;
use ditto_core::operators::{Member, OperatorSet};
use ditto_core::p2p::{Acceptance, MessageToken, PeerId, PublishError, SendError, Topic, Transport, VoteReceipt};
use ditto_core::proposal::{ProposedBatch, hash_batch, hash_batches, hash_pins};
use ditto_core::quorum::TaskRule;
use ditto_core::stage::{Outbox, Pipeline, StageConfig};
use ditto_core::task::{ConsentTerms, Occurrence, Task};
use ditto_core::userop::UserOperation;
use ditto_core::verdict::VerdictVector;
use ditto_core::wire::Vote;
use futures::future::BoxFuture;

/// The slot that everything is about.
pub const SLOT: u64 = 100;

/// A result, as `make bench` collects it.
pub fn result(
    name: String,
    value: f64,
    unit: &str,
    peer: Option<(&str, f64)>,
    note: Option<&str>,
) -> serde_json::Value {
    let round = |x: f64| if x.abs() >= 100.0 { x.round() } else { (x * 1000.0).round() / 1000.0 };
    serde_json::json!({
        "name": name, "value": round(value), "unit": unit, "peer": peer.map(|p| p.0),
        "peer_value": peer.map(|p| round(p.1)), "ratio": peer.map(|p| round(value / p.1)), "note": note,
    })
}

/// Writes an area's results to `target/bench/<area>.json` of the repository.
pub fn write(area: &str, results: Vec<serde_json::Value>) {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/bench");
    std::fs::create_dir_all(&directory).expect("target/bench can be made");
    let text = serde_json::to_string_pretty(&results).expect("plain data serialises");
    let mut file = std::fs::File::create(directory.join(format!("{area}.json"))).expect("a file in target/bench");
    file.write_all(text.as_bytes()).expect("the results can be written");
    println!("{text}");
}

/// A clock that stands in the middle of a slot and is moved by hand.
pub struct Hand(AtomicU64);

impl Hand {
    /// At the slot's middle.
    #[must_use]
    pub fn at(slot: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(now_ms(slot))))
    }

    /// Moves it.
    pub fn set(&self, slot: u64) {
        self.0.store(now_ms(slot), Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn now_ms(slot: u64) -> u64 {
    network().schedule().start_seconds(slot) * 1000 + 500
}

/// Nobody listens.
pub struct Nowhere;

impl Transport for Nowhere {
    fn publish(&self, _: Topic, _: Vec<u8>) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async { Ok(()) })
    }
    fn send_vote(&self, _: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>> {
        Box::pin(async { Ok(VoteReceipt::Accepted) })
    }
    fn send_vote_to(&self, _: [u8; 20], _: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>> {
        Box::pin(async { Ok(VoteReceipt::Accepted) })
    }
    fn report(&self, _: MessageToken, _: Acceptance) {}
    fn ban(&self, _: PeerId, _: Duration, _: &'static str) {}
}

/// The network's rules.
#[must_use]
pub fn network() -> NetworkConfig {
    serde_json::from_value(serde_json::json!({
        "name": "bench", "target_chain": 31337, "genesis_seconds": 1_000_000, "slot_seconds": 2,
        "aggregator": submitter().address(), "validity_slots": 20,
    }))
    .expect("a network's rules")
}

/// What is signed.
#[must_use]
pub fn domain() -> SigningDomain {
    SigningDomain { chain_id: 31337, attestation_center: Address::repeat_byte(1), entry_point: Address::repeat_byte(2) }
}

/// The aggregator's key.
#[must_use]
pub fn submitter() -> PrivateKeySigner {
    signer(1 << 40)
}

fn signer(index: u64) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::from(U256::from(index + 1))).expect("a small number is a key")
}

/// An attester's consensus key.
#[must_use]
pub fn secret(index: usize) -> SecretKey {
    SecretKey::derive(B256::from(U256::from(index + 1)).as_slice()).expect("32 bytes of entropy")
}

/// An attester's controller.
#[must_use]
pub fn controller(index: usize) -> Address {
    Address::from_word(B256::from(U256::from(index + 1)))
}

/// So many attesters of equal power.
pub struct Attesters {
    /// Their keys.
    pub secrets: Vec<SecretKey>,
    /// Their set.
    pub set: Arc<OperatorSet>,
}

impl Attesters {
    /// Makes keys and set.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let secrets: Vec<SecretKey> = (0..count).map(secret).collect();
        let members = secrets.iter().enumerate().map(|(index, secret)| Member {
            controller: controller(index),
            signer: signer(index as u64).address(),
            power: 1,
            key: secret.public(),
        });
        let set = Arc::new(OperatorSet::new(1, members.collect(), B256::repeat_byte(9)));
        Self { secrets, set }
    }

    /// Everybody's vote approving every task, as bytes; those of `bad` sign something else.
    #[must_use]
    pub fn votes(&self, batch: &Batch, bad: &[usize]) -> Vec<Vec<u8>> {
        let verdicts = VerdictVector::from_bytes(&vec![0; batch.hashes.len()]).expect("approvals");
        let digest = batch.digest(&domain(), &verdicts).0;
        let vote = |(index, secret): (usize, &SecretKey)| {
            let signed = if bad.contains(&index) { [7; 32] } else { digest };
            let vote = Vote {
                batch: batch.id,
                set_id: 1,
                attester: u32::try_from(index).expect("a small index"),
                verdicts: verdicts.clone(),
                signature: secret.sign(&signed, Purpose::Vote).to_bytes(),
            };
            vote.encode().expect("a vote fits its message")
        };
        self.secrets.iter().enumerate().map(vote).collect()
    }

    /// Sets and rule as the chain would say them.
    #[must_use]
    pub fn governance(&self) -> Governance {
        let sets = AcceptedSets::new();
        sets.replace(vec![self.set.clone()]);
        let governance = Governance::new(sets);
        governance.set_rule(Some(TaskRule::default()));
        governance
    }
}

/// A proposal of one batch.
#[must_use]
pub fn batch(slot: u64, performer: u64, tasks: u64) -> Arc<Batch> {
    let (domain, network) = (domain(), network());
    let task = |n: u64| Task {
        occurrence: Occurrence { workflow: performer * 1000 + n, slot },
        op: UserOperation {
            sender: Address::from_word(B256::from(U256::from(n))),
            nonce: U256::from(slot << 32 | performer << 16 | n),
            call_data: vec![7; 260].into(),
            verification_gas: 100_000,
            call_gas: 100_000,
            pre_verification_gas: 60_000,
            max_fee: 1,
            max_priority_fee: 1,
        },
        terms: ConsentTerms {
            session_key: Address::repeat_byte(7),
            valid_after: 0,
            valid_until: network.valid_until(slot),
        },
        evidence: Vec::new(),
        run: B256::with_last_byte(3),
    };
    let tasks: Vec<Task> = (0..tasks).map(task).collect();
    let batch_hashes = vec![hash_batch(&domain, &tasks)];
    let proposal = Proposal {
        slot,
        setId: 1,
        taskDefinitionId: network.task_definition,
        performer: signer(performer).address(),
        aggregator: network.aggregator,
        pins: hash_pins(&[]),
        tasks: hash_batches(&batch_hashes),
        targetChainId: U256::from(domain.chain_id),
    };
    let digest = domain.proposal_digest(&proposal);
    let signature = signer(performer).sign_hash_sync(&digest).expect("a key in memory signs").as_bytes();
    let proposed =
        ProposedBatch { proposal, signature, engine_id: B256::ZERO, pins: Vec::new(), batch_hashes, index: 0, tasks };
    let id = proposed.check(&domain).expect("a sound proposal");
    Arc::new(Batch::new(&domain, id, proposed, now_ms(slot)))
}

/// The stage that verifies, with what it shares with the others.
pub struct Bench {
    /// Screening.
    pub screening: Screening,
    /// Verification.
    pub verify: Verify,
    _state: tempfile::TempDir,
}

impl Bench {
    /// Nothing heard yet; nothing waits for further votes.
    #[must_use]
    pub fn new(attesters: &Attesters, clock: Arc<Hand>) -> Self {
        let mut pipeline = Pipeline::new("bench", Duration::from_secs(1));
        let (aggregate, _) = pipeline.queue("aggregate", &StageConfig::waiting(1, 1));
        let (ask, _) = pipeline.queue("ask", &StageConfig::waiting(1, 1));
        let config = VerificationConfig::default();
        let state = tempfile::tempdir().expect("a temporary directory");
        let evidence = Store::open(state.path(), EvidenceConfig::default()).expect("an empty directory");
        let (screening, verify) = stage(attesters, clock, config, evidence, aggregate, ask);
        Self { screening, verify, _state: state }
    }

    /// Forgets everything, bans too.
    pub fn forget(&mut self, batch: &Arc<Batch>) {
        let (asked, bans) = (Asked::default(), Bans::new(self.verify.config));
        self.verify.gathering = Gathering::default();
        self.verify.asked = asked.clone();
        self.verify.bans = bans.clone();
        self.screening = Screening::new(CollectionConfig::default(), bans, asked);
        self.screening.open(batch.clone());
    }
}

/// Screening and verification over one clock.
#[must_use]
pub fn stage(
    attesters: &Attesters,
    clock: Arc<Hand>,
    config: VerificationConfig,
    evidence: Store,
    aggregate: Outbox<Verified>,
    ask: Outbox<Question>,
) -> (Screening, Verify) {
    let (asked, bans) = (Asked::default(), Bans::new(config));
    let screening = Screening::new(CollectionConfig::default(), bans.clone(), asked.clone());
    let verify = Verify {
        gathering: Gathering::default(),
        governance: attesters.governance(),
        domain: domain(),
        config,
        bans,
        transport: Arc::new(Nowhere),
        clock: SlotClock::new(network().schedule(), clock),
        asked,
        evidence,
        aggregate,
        ask,
    };
    (screening, verify)
}

/// The stage that asks; nobody hears it.
#[must_use]
pub fn asking(clock: Arc<Hand>) -> Ask {
    Ask {
        domain: domain(),
        signer: submitter(),
        transport: Arc::new(Nowhere),
        clock: SlotClock::new(network().schedule(), clock),
    }
}
