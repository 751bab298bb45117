//! The last two stages of the aggregator on a real chain, fed with real certificates.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use alloy::signers::local::PrivateKeySigner;
use ditto_aggregator::batch::{Batch, Certified};
use ditto_aggregator::config::{LedgerConfig, StagesConfig, StandbyConfig, SubmissionConfig};
use ditto_aggregator::confirm::{Confirm, Watched};
use ditto_aggregator::governance::Governance;
use ditto_aggregator::ledger::{self, Ledger, TaskRecord, Unfinished};
use ditto_aggregator::report::Report;
use ditto_aggregator::submit::{Account, InFlight, Order, RightOfWay, Submission, Submit, Watch};
use ditto_aggregator::verify::Gathering;
use ditto_core::bls::{Purpose, SignatureSum};
use ditto_core::chain::{ChainConfig, Heads, Rpc};
use ditto_core::clock::{SlotClock, SystemClock};
use ditto_core::operators::OperatorSet;
use ditto_core::stage::{Deadline, Outbox, Pipeline};
use ditto_core::task::Task;
use ditto_core::telemetry::Readiness;
use ditto_core::verdict::VerdictVector;
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{CHAIN, Chain, now_ms};

pub const PATIENCE: Duration = Duration::from_secs(40);

pub fn quick() -> SubmissionConfig {
    SubmissionConfig {
        poll_ms: 50,
        rebroadcast_ms: 300,
        stuck_ms: 60_000,
        retry_ms: 200,
        confirmations: 0,
        max_head_age_seconds: 3_600,
        ..SubmissionConfig::default()
    }
}

pub struct Rig {
    pub ledger: Ledger,
    orders: Outbox<Order>,
    watches: Outbox<Watch>,
    pipeline: Option<Pipeline>,
    _stop: DropGuard,
    pub directory: Arc<tempfile::TempDir>,
}

pub struct Setting {
    pub endpoints: Vec<String>,
    pub timeout_ms: u64,
    pub signer: PrivateKeySigner,
    pub standby: StandbyConfig,
    pub config: SubmissionConfig,
}

impl Setting {
    pub fn of(chain: &Chain) -> Self {
        Self {
            endpoints: vec![chain.anvil.url.clone()],
            timeout_ms: 3_000,
            signer: chain.submitter.clone(),
            standby: StandbyConfig::default(),
            config: quick(),
        }
    }
}

impl Rig {
    pub fn start(chain: &Chain, setting: &Setting) -> Self {
        Self::in_directory(chain, setting, Arc::new(tempfile::tempdir().unwrap()))
    }

    pub fn in_directory(chain: &Chain, setting: &Setting, directory: Arc<tempfile::TempDir>) -> Self {
        let config: ChainConfig = serde_json::from_value(json!({
            "rpc": setting.endpoints, "timeout_ms": setting.timeout_ms, "poll_ms": 50,
        }))
        .unwrap();
        let rpc = Arc::new(Rpc::new(CHAIN, &config).unwrap());
        let stop = CancellationToken::new();
        let heads = Heads::follow(rpc.clone(), Duration::from_millis(50), stop.clone());
        let domain = chain.domain();
        let identity = ledger::identity("rig", &domain, setting.signer.address());
        let ledger = Ledger::open(directory.path(), &identity, domain, &LedgerConfig::default(), 0).unwrap();
        let unfinished = ledger.unfinished().unwrap();
        let open = unfinished.iter().filter_map(|left| left.submission.as_ref());
        let open: Vec<u64> = open.filter(|sub| sub.is_in_flight()).map(|sub| sub.nonce).collect();
        let account = Arc::new(Account::new(setting.signer.clone(), CHAIN, open));
        let clock = SlotClock::new(chain.network.schedule(), Arc::new(SystemClock));
        let stages = StagesConfig::default();
        let mut pipeline = Pipeline::new("rig", Duration::from_secs(2));
        let (submit, to_submit) = pipeline.queue("submit", &stages.submit);
        let (confirm, to_confirm) = pipeline.queue("confirm", &stages.confirm);
        let (orders, watches) = (pipeline.entrance(submit.clone()), pipeline.entrance(confirm.clone()));
        let again = submit.feedback();
        drop(submit);
        pipeline.io(
            to_submit,
            Submit {
                rpc: rpc.clone(),
                heads: heads.clone(),
                attestation_center: chain.contracts.attestation_center,
                account: account.clone(),
                config: setting.config,
                right_of_way: RightOfWay::Standby(setting.standby),
                deadline: Default::default(),
                ledger: ledger.clone(),
                clock: clock.clone(),
                confirm,
            },
        );
        pipeline.actor(
            to_confirm,
            Confirm {
                rpc,
                heads,
                contracts: chain.contracts,
                domain,
                account,
                config: setting.config,
                ledger: ledger.clone(),
                ledger_check: Readiness::new().check("ledger"),
                report: Report::new(chain.network.schedule()),
                clock,
                submit: again,
                gathering: Gathering::default(),
                governance: Governance::default(),
                watched: Watched::default(),
            },
        );
        Self { ledger, orders, watches, pipeline: Some(pipeline), _stop: stop.drop_guard(), directory }
    }

    /// Records a certificate as the stages before do, without sending it.
    pub async fn record(&self, certified: &Arc<Certified>) {
        assert!(self.ledger.propose(&certified.batch, 0).await.unwrap());
        assert!(!self.ledger.certify(certified).await.unwrap().is_empty());
    }

    pub async fn submit(&self, certified: &Arc<Certified>) {
        self.record(certified).await;
        self.order(certified).await;
    }

    pub async fn order(&self, certified: &Arc<Certified>) {
        self.orders.send(Order::Submit { certified: certified.clone(), attempt: 1 }, Deadline::NONE).await.unwrap();
    }

    /// Goes on with what an earlier rig left in flight.
    pub async fn go_on(&self) {
        for left in self.ledger.unfinished().unwrap() {
            let (Some(submission), certified) = (left.submission, left.certified) else { continue };
            self.watches.send(Watch::Flight(InFlight { certified, submission }), Deadline::NONE).await.unwrap();
        }
    }

    pub fn unfinished(&self, certified: &Certified) -> Option<Unfinished> {
        self.ledger.batch(certified.id()).unwrap()
    }

    pub fn submission(&self, certified: &Certified) -> Option<Submission> {
        self.unfinished(certified)?.submission
    }

    pub fn tasks(&self, certified: &Certified) -> Vec<TaskRecord> {
        let mut tasks = self.ledger.tasks().unwrap();
        tasks.retain(|task| task.batch == certified.batch.id);
        tasks
    }

    /// The state that all tasks of a batch are in.
    pub fn state(&self, certified: &Certified) -> String {
        let mut states: Vec<_> = self.tasks(certified).iter().map(|task| task.state.label()).collect();
        states.dedup();
        states.join(" ")
    }

    pub async fn until_executed(&self, certified: &Certified) {
        self.until("the tasks are executed", || self.state(certified) == "executed").await;
    }

    pub async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !holds() {
            if tokio::time::Instant::now() >= deadline {
                let tasks: Vec<_> = self.ledger.tasks().unwrap().into_iter().map(|task| task.state).collect();
                let left: Vec<_> =
                    self.ledger.unfinished().unwrap().into_iter().map(|l| (l.submission, l.notes)).collect();
                panic!("never: {what}. Tasks: {tasks:?}. Left: {left:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the stages without a drain, as a crash does: what is queued is lost.
    pub async fn crash(mut self) -> Arc<tempfile::TempDir> {
        let directory = self.directory.clone();
        drop(self.pipeline.take());
        let Self { ledger, orders, watches, .. } = self;
        drop((orders, watches, ledger));
        // The tasks that hold the ledger open end at their next await.
        let path = directory.path().join("ledger.redb");
        for _ in 0..500 {
            if ditto_core::store::redb::Database::open(&path).is_ok() {
                return directory;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the ledger is never let go");
    }
}

/// A certificate for these tasks, really signed by these operators.
pub fn certified(
    chain: &Chain,
    set: &OperatorSet,
    tasks: Vec<Task>,
    signers: &[usize],
    performer: usize,
) -> Arc<Certified> {
    let slot = tasks[0].occurrence.slot;
    let proposed = chain.propose(&chain.operators[performer].signer, set.id, slot, tasks);
    let domain = chain.domain();
    let batch = Arc::new(Batch::new(&domain, proposed.id(&domain), proposed, now_ms()));
    let verdicts = VerdictVector::from_bytes(&vec![0; batch.hashes.len()]).unwrap();
    let digest = batch.digest(&domain, &verdicts);
    let mut sum = SignatureSum::default();
    let mut indices = Vec::new();
    for signer in signers {
        let operator = &chain.operators[*signer];
        let key = operator.consensus.public();
        sum.add(&operator.consensus.sign(&digest.0, Purpose::Vote), &key);
        indices.push(set.by_key(&key).unwrap().0);
    }
    indices.sort_unstable();
    let signature = sum.verified(&digest.0, Purpose::Vote).unwrap();
    let members = set.members.len();
    Arc::new(Certified { batch, part: 0, verdicts, signers: indices, members, signature })
}

pub async fn nonce(chain: &Chain, of: Address) -> u64 {
    let count = chain.ask("eth_getTransactionCount", json!([of, "latest"])).await;
    serde_json::from_value::<alloy::primitives::U64>(count).unwrap().to()
}

pub async fn head(chain: &Chain) -> (u64, B256) {
    let block = chain.ask("eth_getBlockByNumber", json!(["latest", false])).await;
    let number: alloy::primitives::U64 = serde_json::from_value(block["number"].clone()).unwrap();
    (number.to(), serde_json::from_value(block["hash"].clone()).unwrap())
}
