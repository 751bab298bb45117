//! What the judge takes and refuses: who was not elected, who comes too early, other pins, other engines, twice, forged.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy::primitives::{Address, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use ditto_core::bls::SecretKey;
use ditto_core::chain::Head;
use ditto_core::clock::Clock;
use ditto_core::consent::Proposal;
use ditto_core::operators::{Member, OperatorSet};
use ditto_core::p2p::{PublishError, SendError, Topic, VoteReceipt};
use ditto_core::proposal::{Pin, hash_batch, hash_batches, hash_pins};
use ditto_core::stage::{Pipeline, StageConfig, Work};
use ditto_core::store::{Store, StoreIdentity, TableDefinition, Writer, WriterConfig};
use ditto_core::task::{ConsentTerms, Task};
use ditto_core::telemetry::measured;
use ditto_core::userop::UserOperation;
use ditto_core::verdict::{Reason, Verdict};
use futures::future::BoxFuture;

use super::*;
use crate::attest::{Journal, Sign};
use crate::board::Board;
use crate::history::History;
use crate::simulate::SlotReads;

const SLOT: Slot = 10;
const ENGINE: B256 = B256::repeat_byte(0xee);

struct SetClock(AtomicU64);

impl Clock for SetClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Silent;

impl Transport for Silent {
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

/// Keeps what reaches the next stage.
struct Keep<T>(Arc<Mutex<Vec<T>>>);

impl<T: Send + 'static> Actor for Keep<T> {
    type Item = T;
    async fn handle(&mut self, item: T, _: Deadline) -> Outcome {
        self.0.lock().unwrap().push(item);
        ditto_core::stage::DONE
    }
}

/// A judge with one planned slot, five signers of whom the first is elected, and what it passes on.
struct Bench {
    judge: Judge,
    signers: Vec<PrivateKeySigner>,
    context: Arc<SlotContext>,
    clock: Arc<SetClock>,
    judged: Arc<Mutex<Vec<Judged>>>,
    told: Arc<Mutex<Vec<crate::propose::Item>>>,
    pipeline: Pipeline,
}

fn network() -> NetworkConfig {
    serde_json::from_value(serde_json::json!({
        "name": "test", "target_chain": 1, "genesis_seconds": 1_000, "slot_seconds": 2, "aggregator": Address::ZERO,
    }))
    .unwrap()
}

fn task(workflow: u64) -> Task {
    Task {
        occurrence: Occurrence { workflow, slot: SLOT },
        op: UserOperation {
            sender: Address::repeat_byte(7),
            nonce: U256::from(workflow),
            call_data: vec![1].into(),
            verification_gas: 1,
            call_gas: 1,
            pre_verification_gas: 1,
            max_fee: 1,
            max_priority_fee: 1,
        },
        terms: ConsentTerms { session_key: Address::ZERO, valid_after: 1, valid_until: 2 },
        evidence: Vec::new(),
        run: B256::repeat_byte(2),
    }
}

impl Bench {
    async fn new() -> Self {
        let network = Arc::new(network());
        let clock = Arc::new(SetClock(AtomicU64::new((1_000 + SLOT * 2) * 1_000)));
        let slots = SlotClock::new(network.schedule(), clock.clone());
        let domain = SigningDomain {
            chain_id: 1,
            attestation_center: Address::repeat_byte(1),
            entry_point: Address::repeat_byte(2),
        };
        let signers: Vec<_> = (1..=5).map(|n| PrivateKeySigner::from_bytes(&B256::repeat_byte(n)).unwrap()).collect();
        let members = signers
            .iter()
            .zip(1..)
            .map(|(signer, n)| Member {
                controller: signer.address(),
                signer: signer.address(),
                power: 1,
                key: SecretKey::derive(&[n; 32]).unwrap().public(),
            })
            .collect();
        let pins = vec![Pin { chain_id: 1, number: 5, hash: B256::repeat_byte(5) }];
        let context = Arc::new(SlotContext {
            slot: SLOT,
            start_seconds: 1_020,
            head: Head { number: 5, hash: B256::repeat_byte(5), parent: B256::ZERO, timestamp: 1_019, base_fee: 0 },
            pins_hash: hash_pins(&pins),
            reads: Arc::new(SlotReads::new(Arc::default(), &pins)),
            pins,
            set: Arc::new(OperatorSet::new(1, members, B256::ZERO)),
            // The others may not perform at all.
            ranks: vec![0, 1],
            own_rank: None,
            own_index: Some(2),
            own_standing: ditto_core::committee::Standing::Attests,
            end: Deadline::after(Duration::from_secs(60)),
            votes_until: Deadline::after(Duration::from_secs(60)),
        });
        let mut pipeline = Pipeline::new("test", Duration::from_secs(5));
        let (sign, to_sign) = pipeline.queue("sign", &StageConfig::waiting(16, 1));
        let (propose, to_propose) = pipeline.queue("propose", &StageConfig::waiting(16, 1));
        let judged = Arc::new(Mutex::new(Vec::new()));
        pipeline.actor(to_sign, Keep(judged.clone()));
        let told = Arc::new(Mutex::new(Vec::new()));
        pipeline.actor(to_propose, Keep(told.clone()));
        let transport = Arc::new(Silent);
        let mut judge = Judge {
            network,
            clock: slots,
            domain,
            engine_id: ENGINE,
            transport,
            sign,
            propose,
            open: BTreeMap::new(),
            last_set: None,
        };
        let due: Arc<[Occurrence]> = [task(1).occurrence, task(2).occurrence].into();
        judge.handle(Note::Planned { context: context.clone(), due }.into(), Deadline::none()).await;
        Self { judge, signers, context, clock, judged, told, pipeline }
    }

    fn batch(&self, signer: usize, tasks: Vec<Task>, change: impl FnOnce(&mut ProposedBatch)) -> Box<ProposedBatch> {
        let hash = hash_batch(&self.judge.domain, &tasks);
        let mut batch = ProposedBatch {
            proposal: Proposal {
                slot: SLOT,
                setId: 1,
                taskDefinitionId: 1,
                performer: self.signers[signer].address(),
                aggregator: Address::ZERO,
                pins: self.context.pins_hash,
                tasks: hash_batches(&[hash]),
                targetChainId: U256::from(1),
            },
            signature: [0; 65],
            engine_id: ENGINE,
            pins: self.context.pins.clone(),
            batch_hashes: vec![hash],
            index: 0,
            tasks,
        };
        change(&mut batch);
        let digest = self.judge.domain.proposal_digest(&batch.proposal);
        batch.signature = self.signers[signer].sign_hash_sync(&digest).unwrap().as_bytes();
        Box::new(batch)
    }

    async fn hear(&mut self, batch: Box<ProposedBatch>) -> Outcome {
        self.judge.handle(Item::Proposed { batch, from: None }, Deadline::none()).await
    }

    async fn find(&mut self, task: Task) {
        let hash = self.judge.domain.user_op_hash(&task);
        let occurrence = task.occurrence;
        let finding = Arc::new(Finding::Operation { task: Box::new(task), hash });
        self.judge.handle(Note::Found { slot: SLOT, occurrence, finding }.into(), Deadline::none()).await;
    }

    async fn verdicts(self) -> Vec<Vec<Verdict>> {
        drop(self.judge);
        let drained = self.pipeline.shutdown().await;
        assert!(drained.left_behind.is_empty());
        let judged = std::mem::take(&mut *self.judged.lock().unwrap());
        judged.into_iter().map(|judged| judged.verdicts.0).collect()
    }
}

#[tokio::test]
async fn a_proposal_is_judged_when_everything_in_it_was_found() {
    let mut bench = Bench::new().await;
    let batch = bench.batch(0, vec![task(1), task(2)], |_| {});
    bench.find(task(1)).await;
    assert_eq!(bench.hear(batch.clone()).await, "taken");
    assert_eq!(bench.hear(batch).await, "duplicate");
    assert!(bench.judged.lock().unwrap().is_empty(), "the second task has no finding yet");
    let mut other = task(2);
    other.op.call_gas = 2;
    bench.find(other).await;
    assert_eq!(bench.verdicts().await, [vec![Verdict::Approve, Verdict::Reject(Reason::OtherOperation)]]);
}

#[tokio::test]
async fn an_occurrence_that_is_not_due_is_rejected_without_waiting() {
    let mut bench = Bench::new().await;
    let batch = bench.batch(0, vec![task(99)], |_| {});
    assert_eq!(bench.hear(batch).await, "taken");
    assert_eq!(bench.verdicts().await, [vec![Verdict::Reject(Reason::NotDue)]]);
}

#[tokio::test]
async fn who_was_not_elected_is_not_heard() {
    let mut bench = Bench::new().await;
    let stranger = bench.batch(2, vec![task(1)], |_| {});
    assert_eq!(bench.hear(stranger).await, "not_elected");
    let other_set = bench.batch(0, vec![task(1)], |batch| batch.proposal.setId = 2);
    assert_eq!(bench.hear(other_set).await, "not_elected");
    let other_aggregator = bench.batch(0, vec![task(1)], |batch| batch.proposal.aggregator = Address::repeat_byte(9));
    assert_eq!(bench.hear(other_aggregator).await, "not_elected");
    assert!(bench.verdicts().await.is_empty());
}

#[tokio::test]
async fn the_second_rank_is_heard_after_its_delay_and_not_before() {
    let mut bench = Bench::new().await;
    bench.find(task(1)).await;
    let fallback = bench.batch(1, vec![task(1)], |_| {});
    assert_eq!(bench.hear(fallback.clone()).await, "too_early");
    bench.clock.0.fetch_add(bench.judge.network.fallback_delay_ms, Ordering::Relaxed);
    assert_eq!(bench.hear(fallback).await, "taken");
    assert_eq!(bench.verdicts().await, [vec![Verdict::Approve]]);
}

#[tokio::test]
async fn other_blocks_or_another_engine_get_no_verdict() {
    let mut bench = Bench::new().await;
    let wrong_pin = bench.batch(0, vec![task(1)], |batch| {
        batch.pins[0].number = 4;
        batch.proposal.pins = hash_pins(&batch.pins);
    });
    assert_eq!(bench.hear(wrong_pin).await, "wrong_pin");
    let other_engine = bench.batch(0, vec![task(1)], |batch| batch.engine_id = B256::ZERO);
    assert_eq!(bench.hear(other_engine).await, "other_engine");
    assert!(bench.verdicts().await.is_empty());
}

#[tokio::test]
async fn what_is_forged_is_malformed() {
    let mut bench = Bench::new().await;
    let mut forged = bench.batch(0, vec![task(1)], |_| {});
    forged.tasks[0].op.call_gas = 9;
    assert_eq!(bench.hear(forged).await, "malformed", "the tasks are not those that were signed");
    let mut unsigned = bench.batch(0, vec![task(1)], |_| {});
    unsigned.signature[5] ^= 1;
    assert_eq!(bench.hear(unsigned).await, "malformed");
    let twice = bench.batch(0, vec![task(1), task(1)], |_| {});
    assert_eq!(bench.hear(twice).await, "malformed");
    let old = bench.batch(0, vec![task(1)], |batch| batch.proposal.slot = 1);
    assert_eq!(bench.hear(old).await, "out_of_time");
    assert!(bench.verdicts().await.is_empty());
}

#[tokio::test]
async fn a_flood_takes_its_authors_place_and_nobody_elses() {
    let seen = || measured("ditto_operator_equivocations_total", &[]);
    let before = seen();
    let mut bench = Bench::new().await;
    bench.find(task(1)).await;
    bench.clock.0.fetch_add(bench.judge.network.fallback_delay_ms, Ordering::Relaxed);
    let mut outcomes = Vec::new();
    for n in 0..70u64 {
        let mut tasks = vec![task(1)];
        tasks[0].run = B256::from(U256::from(n));
        let batch = bench.batch(0, tasks, |_| {});
        outcomes.push(bench.hear(batch).await);
    }
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "taken").count(), PROPOSALS);
    assert!(seen() > before, "a second proposal for one slot is counted");
    let honest = bench.batch(1, vec![task(1)], |_| {});
    assert_eq!(bench.hear(honest).await, "taken", "the second rank is heard all the same");
}

#[tokio::test]
async fn before_the_plan_only_members_wait_and_nobody_else_takes_their_place() {
    let mut bench = Bench::new().await;
    let next = SLOT + 1;
    let stranger = PrivateKeySigner::from_bytes(&B256::repeat_byte(9)).unwrap();
    for n in 0..70u64 {
        let mut early = bench.batch(0, vec![task(n)], |batch| {
            batch.proposal.slot = next;
            batch.proposal.performer = stranger.address();
        });
        let digest = bench.judge.domain.proposal_digest(&early.proposal);
        early.signature = stranger.sign_hash_sync(&digest).unwrap().as_bytes();
        assert_eq!(bench.hear(early).await, "not_elected");
    }
    let member = bench.batch(0, vec![task(1)], |batch| batch.proposal.slot = next);
    assert_eq!(bench.hear(member.clone()).await, "taken");
    assert_eq!(bench.hear(member).await, "duplicate");
    // Then the slot is planned, and what waited is looked at.
    let parked = || measured("ditto_operator_parked_proposals_total", &[]);
    let before = parked();
    let SlotContext { start_seconds, head, pins_hash, own_rank, own_index, own_standing, end, votes_until, .. } =
        *bench.context;
    let (pins, set, ranks) = (bench.context.pins.clone(), bench.context.set.clone(), bench.context.ranks.clone());
    let reads = bench.context.reads.clone();
    let context = Arc::new(SlotContext {
        slot: next,
        start_seconds,
        head,
        pins,
        pins_hash,
        set,
        ranks,
        own_rank,
        own_index,
        own_standing,
        reads,
        end,
        votes_until,
    });
    let due: Arc<[Occurrence]> = [task(1).occurrence].into();
    bench.judge.handle(Note::Planned { context, due }.into(), Deadline::none()).await;
    assert!(parked() > before);
}

#[tokio::test]
async fn a_batch_beyond_the_limits_covers_nothing() {
    let mut bench = Bench::new().await;
    let mut heavy = task(1);
    heavy.op.call_gas = bench.judge.network.batch_gas;
    let batch = bench.batch(0, vec![heavy], |_| {});
    assert_eq!(bench.hear(batch).await, "too_large");
    assert!(bench.verdicts().await.is_empty());
}

#[tokio::test]
async fn the_proposer_learns_what_is_proposed_before_it_is_judged() {
    let mut bench = Bench::new().await;
    let expected = bench.judge.domain.task_id(&task(1));
    let refused = bench.batch(2, vec![task(2)], |_| {});
    assert_eq!(bench.hear(refused).await, "not_elected");
    let batch = bench.batch(0, vec![task(1)], |_| {});
    assert_eq!(bench.hear(batch).await, "taken");
    let told = bench.told.clone();
    drop(bench.judge);
    bench.pipeline.shutdown().await;
    let told = std::mem::take(&mut *told.lock().unwrap());
    assert!(matches!(&told[..], [crate::propose::Item::Seen { slot: SLOT, covered }] if *covered == [expected]));
}

fn split(bench: &Bench, batch: &ProposedBatch, vectors: &[&[u8]]) -> Box<ditto_core::wire::Split> {
    let aggregator = PrivateKeySigner::from_bytes(&B256::repeat_byte(0xa9)).unwrap();
    split_by(&aggregator, bench, batch, vectors)
}

fn split_by(
    asker: &PrivateKeySigner,
    bench: &Bench,
    batch: &ProposedBatch,
    vectors: &[&[u8]],
) -> Box<ditto_core::wire::Split> {
    let vectors: Vec<_> = vectors.iter().map(|bytes| VerdictVector::from_bytes(bytes).unwrap()).collect();
    let id = batch.id(&bench.judge.domain);
    let digest = ditto_core::wire::Split::digest(&bench.judge.domain, id, 0, &vectors);
    let signature = asker.sign_hash_sync(&digest).unwrap().as_bytes();
    Box::new(ditto_core::wire::Split { batch: id, round: 0, vectors, signature })
}

async fn ask(bench: &mut Bench, split: Box<ditto_core::wire::Split>) -> Outcome {
    bench.judge.handle(Item::Asked { split, token: None }, Deadline::none()).await
}

/// The aggregator of the network is whoever signs splits here.
async fn disputed() -> (Bench, Box<ProposedBatch>) {
    let mut bench = Bench::new().await;
    let aggregator = PrivateKeySigner::from_bytes(&B256::repeat_byte(0xa9)).unwrap().address();
    let mut network = (*bench.judge.network).clone();
    network.aggregator = aggregator;
    bench.judge.network = Arc::new(network);
    let batch = bench.batch(0, vec![task(1), task(2)], |batch| batch.proposal.aggregator = aggregator);
    (bench, batch)
}

#[tokio::test]
async fn a_part_that_agrees_is_voted_on_again_and_nothing_else() {
    let (mut bench, batch) = disputed().await;
    bench.find(task(1)).await;
    let mut other = task(2);
    other.op.call_gas = 2;
    bench.find(other).await;
    assert_eq!(bench.hear(batch.clone()).await, "taken");
    let agreed = split(&bench, &batch, &[&[0, 255], &[255, 0]]);
    assert_eq!(ask(&mut bench, agreed).await, "asked");
    let turned = split(&bench, &batch, &[&[3, 255], &[255, 0]]);
    assert_eq!(ask(&mut bench, turned).await, "asked_in_vain");
    let mut forged = split(&bench, &batch, &[&[0, 255]]);
    forged.round = 9;
    assert_eq!(ask(&mut bench, forged).await, "forged");
    let mut elsewhere = batch.clone();
    elsewhere.index = 1;
    let unknown = split(&bench, &elsewhere, &[&[0, 255]]);
    assert_eq!(ask(&mut bench, unknown).await, "asked_in_vain");
    let other = Verdict::Reject(Reason::OtherOperation);
    assert_eq!(bench.verdicts().await, [vec![Verdict::Approve, other], vec![Verdict::Approve, Verdict::Abstain]]);
}

#[tokio::test]
async fn who_is_asked_before_it_judged_answers_when_it_has() {
    let (mut bench, batch) = disputed().await;
    bench.find(task(1)).await;
    assert_eq!(bench.hear(batch.clone()).await, "taken");
    let early = split(&bench, &batch, &[&[0, 255]]);
    assert_eq!(ask(&mut bench, early).await, "asked_early");
    assert!(bench.judged.lock().unwrap().is_empty());
    bench.find(task(2)).await;
    let both = vec![Verdict::Approve, Verdict::Approve];
    assert_eq!(bench.verdicts().await, [both, vec![Verdict::Approve, Verdict::Abstain]]);
}

#[tokio::test]
async fn the_first_standbys_of_the_slot_may_ask_and_nobody_else() {
    let (mut bench, batch) = disputed().await;
    bench.find(task(1)).await;
    bench.find(task(2)).await;
    assert_eq!(bench.hear(batch.clone()).await, "taken");
    let (set, signers) = (bench.context.set.clone(), bench.signers.clone());
    let mut outcomes = Vec::new();
    for signer in &signers {
        let rank = set.standby_rank(SLOT, signer.address()).unwrap();
        let question = split_by(signer, &bench, &batch, &[&[0, 255]]);
        outcomes.push((rank, ask(&mut bench, question).await));
    }
    outcomes.sort_unstable();
    let expected = ["asked", "asked", "asked", "asked_out_of_turn", "asked_out_of_turn"];
    assert_eq!(outcomes, (0..).zip(expected).collect::<Vec<_>>());
    let stranger = PrivateKeySigner::from_bytes(&B256::repeat_byte(0x77)).unwrap();
    let question = split_by(&stranger, &bench, &batch, &[&[0, 255]]);
    assert_eq!(ask(&mut bench, question).await, "forged");
}

#[tokio::test]
async fn without_a_journal_nothing_is_signed_and_it_is_counted() {
    const OTHERS: TableDefinition<'static, u64, u64> = TableDefinition::new("verdicts");
    let failures = || measured("ditto_operator_journal_failures_total", &[]);
    let missed = || measured("ditto_operator_votes_missed_total", &[("reason", "journal_failed")]);
    let before = (failures(), missed());
    let mut bench = Bench::new().await;
    bench.find(task(1)).await;
    let batch = bench.batch(0, vec![task(1)], |_| {});
    assert_eq!(bench.hear(batch).await, "taken");
    let domain = bench.judge.domain;
    drop(bench.judge);
    bench.pipeline.shutdown().await;
    let judged = bench.judged.lock().unwrap().pop().unwrap();
    // A file of ours with something else in the journal's place: it can be opened, and no verdict written.
    let dir = tempfile::tempdir().unwrap();
    let identity = StoreIdentity { network: "test".into(), key: "00".into(), kind: "journal".into(), schema: 1 };
    let store = Store::open(dir.path().join("journal.redb"), &identity).unwrap();
    store
        .write(|transaction| {
            transaction.open_table(OTHERS)?;
            Ok(())
        })
        .unwrap();
    let journal = Journal::over(Writer::start("broken", Arc::new(store), &WriterConfig::default()).unwrap());
    let mut pipeline = Pipeline::new("test", Duration::from_secs(5));
    let (cast, inbox) = pipeline.queue("cast", &StageConfig::waiting(2, 1));
    let cast_to = cast.clone();
    let key = SecretKey::derive(&[3; 32]).unwrap();
    let sign = Sign { key, journal, domain, board: Arc::new(Board::new(History::default())), cast };
    let outcome = tokio::task::spawn_blocking(move || sign.work(judged, Deadline::none())).await.unwrap();
    assert_eq!(outcome, "journal_failed");
    assert!(failures() > before.0 && missed() > before.1);
    assert_eq!(cast_to.depth(), 0, "no vote leaves");
    drop(inbox);
}
