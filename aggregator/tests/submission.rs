//! What `docs/submission.md` promises, against anvil and through endpoints that misbehave. Blocks are mined when a test
//! says so, so that nothing depends on how fast the machine is.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/rig.rs"]
mod rig;
mod support;

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{U64, U256};
use ditto_aggregator::batch::Certified;
use ditto_aggregator::config::{StandbyConfig, SubmissionConfig};
use ditto_aggregator::submit::Stage;
use ditto_core::chain::{Head, SetReader};
use ditto_core::operators::OperatorSet;
use proxy::{Fault, Proxy};
use rig::{PATIENCE, Rig, Setting, certified, head, nonce, quick};
use serde_json::json;
use support::{CHAIN, Chain, Rules, now_ms};

const ALL: [usize; 3] = [0, 1, 2];

/// A chain that mines when it is told to, its operator set, and how many of its operations were executed.
struct Ground {
    chain: Chain,
    set: Arc<OperatorSet>,
    executed: u64,
    account: usize,
}

impl Ground {
    async fn new(rules: Rules) -> Self {
        let chain = Chain::start_with(3, 12, rules).await;
        chain.ask("evm_setIntervalMining", json!([0])).await;
        let (number, hash) = head(&chain).await;
        let at = Head { number, hash, parent: Default::default(), timestamp: 0, base_fee: 0 };
        let reader = SetReader::new(chain.rpc.clone(), chain.contracts.obls, chain.network.set_settles_blocks);
        let set = reader.current(&at).await.unwrap();
        Self { chain, set, executed: 0, account: 0 }
    }

    /// A certificate for one operation of an account that has none in flight.
    fn certificate(&mut self) -> Arc<Certified> {
        self.signed_by(&ALL)
    }

    fn signed_by(&mut self, signers: &[usize]) -> Arc<Certified> {
        self.account = (self.account + 1) % self.chain.accounts.len();
        let task = self.chain.record(self.account, self.chain.slot());
        certified(&self.chain, &self.set, vec![task], signers, 0)
    }

    async fn mine(&self, blocks: u64) {
        self.chain.ask("anvil_mine", json!([U64::from(blocks)])).await;
    }

    /// Mines until the batch is executed as far as this rig knows.
    async fn mines_until_executed(&self, rig: &Rig, certified: &Certified) {
        let mining = async {
            loop {
                self.mine(1).await;
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        };
        tokio::select! {
            () = mining => {}
            () = rig.until_executed(certified) => {}
        }
    }

    /// Mines until the batch is executed, and makes sure that nothing else was.
    async fn executes(&mut self, rig: &Rig, certified: &Certified) {
        self.mines_until_executed(rig, certified).await;
        self.executed += certified.batch.hashes.len() as u64;
        assert_eq!(self.chain.executions().await, self.executed, "each operation once");
    }

    async fn nonce(&self) -> u64 {
        nonce(&self.chain, self.chain.submitter.address()).await
    }
}

async fn until_sent(rig: &Rig, certified: &Certified) {
    rig.until("it is sent", || rig.submission(certified).is_some_and(|s| s.stage == Stage::Sent)).await;
}

fn notes(rig: &Rig, certified: &Certified) -> String {
    rig.unfinished(certified).map(|left| left.notes.into_values().collect::<Vec<_>>().join("; ")).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonces_fees_and_funds_heal_without_a_restart() {
    let mut ground = Ground::new(Rules { validity_slots: 60, ..Rules::default() }).await;
    several_are_in_flight_at_once(&mut ground).await;
    a_stuck_transaction_pays_more_up_to_the_ceiling(&mut ground).await;
    a_forgotten_transaction_is_sent_again(&mut ground).await;
    foreign_transactions_take_nonces(&mut ground).await;
    gaps_are_filled(&mut ground).await;
    an_empty_account_waits_for_funds(&mut ground).await;
    what_a_crash_left_prepared_is_sent(&mut ground).await;
}

async fn several_are_in_flight_at_once(ground: &mut Ground) {
    let rig = Rig::start(&ground.chain, &Setting::of(&ground.chain));
    let first = ground.nonce().await;
    let certificates: Vec<_> = (0..4).map(|_| ground.certificate()).collect();
    for certificate in &certificates {
        rig.submit(certificate).await;
    }
    for certificate in &certificates {
        until_sent(&rig, certificate).await;
    }
    let mut nonces: Vec<_> = certificates.iter().map(|c| rig.submission(c).unwrap().nonce).collect();
    nonces.sort_unstable();
    assert_eq!(nonces, (first..first + 4).collect::<Vec<_>>());
    ground.mine(1).await;
    for certificate in &certificates {
        rig.until_executed(certificate).await;
    }
    ground.executed += 4;
    assert_eq!(ground.chain.executions().await, ground.executed);
}

async fn a_stuck_transaction_pays_more_up_to_the_ceiling(ground: &mut Ground) {
    let ceiling = 3_000_000_000;
    let config =
        SubmissionConfig { stuck_ms: 150, fee_bump_percent: 30, max_fee_wei: ceiling, rebroadcast_ms: 100, ..quick() };
    let rig = Rig::start(&ground.chain, &Setting { config, ..Setting::of(&ground.chain) });
    let certificate = ground.certificate();
    rig.submit(&certificate).await;
    let fees = || -> Vec<u64> {
        rig.submission(&certificate).map(|s| s.signed.iter().map(|signed| signed.max_fee).collect()).unwrap_or_default()
    };
    // anvil offers one gwei: 1, 1.3, 1.69, 2.2, 2.86, and what is left to 3 is less than a node takes.
    rig.until("the ceiling is reached", || fees().len() >= 5).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let fees = fees();
    assert_eq!(fees.len(), 5, "{fees:?}");
    assert!(fees.windows(2).all(|pair| pair[1] * 100 >= pair[0] * 129), "{fees:?}");
    assert!(fees.iter().all(|fee| *fee <= ceiling));
    let nonces = rig.submission(&certificate).unwrap().nonce;
    assert_eq!(nonces, ground.nonce().await, "one nonce for all of them");
    ground.executes(&rig, &certificate).await;
}

async fn a_forgotten_transaction_is_sent_again(ground: &mut Ground) {
    let rig = Rig::start(&ground.chain, &Setting::of(&ground.chain));
    let certificate = ground.certificate();
    rig.submit(&certificate).await;
    until_sent(&rig, &certificate).await;
    ground.chain.ask("anvil_dropAllTransactions", json!([])).await;
    ground.executes(&rig, &certificate).await;
    let signed = rig.submission(&certificate).map(|s| s.signed.len());
    assert!(signed.is_none_or(|signed| signed == 1), "the same bytes: {signed:?}");
}

async fn foreign_transactions_take_nonces(ground: &mut Ground) {
    let rig = Rig::start(&ground.chain, &Setting::of(&ground.chain));
    let first = ground.certificate();
    rig.submit(&first).await;
    ground.executes(&rig, &first).await;
    // Before the next one: the account knows its next nonce, and the chain is further.
    let submitter = ground.chain.submitter.address();
    let taken = ground.nonce().await + 5;
    ground.chain.ask("anvil_setNonce", json!([submitter, U64::from(taken)])).await;
    let second = ground.certificate();
    rig.submit(&second).await;
    until_sent(&rig, &second).await;
    assert_eq!(rig.submission(&second).unwrap().nonce, taken);
    ground.executes(&rig, &second).await;
    // While one is in flight: it is lost, and goes again under the next one.
    let third = ground.certificate();
    rig.submit(&third).await;
    until_sent(&rig, &third).await;
    let lost = rig.submission(&third).unwrap().nonce;
    ground.chain.ask("anvil_setNonce", json!([submitter, U64::from(lost + 2)])).await;
    let again = || rig.submission(&third).is_some_and(|s| s.attempt == 2 && s.stage == Stage::Sent);
    rig.until("it goes again", again).await;
    assert_eq!(rig.submission(&third).unwrap().nonce, lost + 2);
    ground.executes(&rig, &third).await;
}

async fn gaps_are_filled(ground: &mut Ground) {
    let rig = Rig::start(&ground.chain, &Setting::of(&ground.chain));
    let first = ground.certificate();
    rig.submit(&first).await;
    ground.executes(&rig, &first).await;
    // As after a reorganisation that is deeper than the confirmations: the chain takes nonces back.
    let submitter = ground.chain.submitter.address();
    let next = ground.nonce().await;
    ground.chain.ask("anvil_setNonce", json!([submitter, U64::from(next - 3)])).await;
    let second = ground.certificate();
    rig.submit(&second).await;
    until_sent(&rig, &second).await;
    assert_eq!(rig.submission(&second).unwrap().nonce, next, "used nonces are not given away again");
    ground.executes(&rig, &second).await;
    assert_eq!(ground.nonce().await, next + 1);
}

async fn an_empty_account_waits_for_funds(ground: &mut Ground) {
    let rig = Rig::start(&ground.chain, &Setting::of(&ground.chain));
    let submitter = ground.chain.submitter.address();
    let next = ground.nonce().await;
    ground.chain.ask("anvil_setBalance", json!([submitter, U256::ZERO])).await;
    let certificate = ground.certificate();
    rig.submit(&certificate).await;
    rig.until("the reason is noted", || notes(&rig, &certificate).contains("send it funds")).await;
    assert!(rig.submission(&certificate).is_none(), "no nonce is taken");
    ground.chain.fund(submitter).await;
    ground.executes(&rig, &certificate).await;
    assert_eq!(ground.nonce().await, next + 1);
}

async fn what_a_crash_left_prepared_is_sent(ground: &mut Ground) {
    let proxy = Proxy::start(&ground.chain.anvil.url).await;
    let setting = Setting { endpoints: vec![proxy.url.clone()], timeout_ms: 300, ..Setting::of(&ground.chain) };
    let rig = Rig::start(&ground.chain, &setting);
    let (sent, waiting) = (ground.certificate(), ground.certificate());
    rig.submit(&sent).await;
    until_sent(&rig, &sent).await;
    // On the disk, and its answer never comes: nobody knows whether a node has it.
    proxy.set(Fault::LosesTheAnswerToTransactions);
    rig.submit(&waiting).await;
    rig.until("it is prepared", || rig.submission(&waiting).is_some()).await;
    let directory = rig.crash().await;
    ground.chain.ask("anvil_dropAllTransactions", json!([])).await;
    proxy.set(Fault::None);
    let rig = Rig::in_directory(&ground.chain, &setting, directory);
    rig.go_on().await;
    let next = ground.certificate();
    rig.submit(&next).await;
    until_sent(&rig, &next).await;
    let nonces = [&sent, &waiting, &next].map(|c| rig.submission(c).map(|s| s.nonce));
    let [Some(a), Some(b), Some(c)] = nonces else { panic!("{nonces:?}") };
    assert!(a < b && b < c, "what is open is not given away again: {nonces:?}");
    ground.executed += 2;
    ground.executes(&rig, &next).await;
    rig.until_executed(&sent).await;
    rig.until_executed(&waiting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_are_down_slow_deaf_or_behind_lose_nothing() {
    let mut ground = Ground::new(Rules { validity_slots: 60, ..Rules::default() }).await;
    let (first, second) = (Proxy::start(&ground.chain.anvil.url).await, Proxy::start(&ground.chain.anvil.url).await);
    let endpoints = vec![first.url.clone(), second.url.clone()];
    let setting = Setting { endpoints, timeout_ms: 400, ..Setting::of(&ground.chain) };

    // One is down, or hangs: the other one is asked.
    for fault in [Fault::Down, Fault::Hangs] {
        first.set(fault);
        let rig = Rig::start(&ground.chain, &setting);
        let certificate = ground.certificate();
        rig.submit(&certificate).await;
        ground.executes(&rig, &certificate).await;
    }

    // Both are down, before the certificate comes and while it is in flight.
    first.set(Fault::None);
    let rig = Rig::start(&ground.chain, &setting);
    let early = ground.certificate();
    rig.submit(&early).await;
    until_sent(&rig, &early).await;
    first.set(Fault::Down);
    second.set(Fault::Down);
    let late = ground.certificate();
    rig.submit(&late).await;
    rig.until("the reason is noted", || !notes(&rig, &late).is_empty()).await;
    assert!(rig.submission(&late).is_none());
    ground.mine(1).await;
    ground.executed += 1;
    first.set(Fault::None);
    second.set(Fault::None);
    ground.executes(&rig, &late).await;
    rig.until_executed(&early).await;
    drop(rig);

    // Transactions arrive and their answers are lost; the other node has them already, or has them mined.
    first.set(Fault::LosesTheAnswerToTransactions);
    let rig = Rig::start(&ground.chain, &setting);
    let certificate = ground.certificate();
    let next = ground.nonce().await;
    rig.submit(&certificate).await;
    ground.executes(&rig, &certificate).await;
    assert_eq!(ground.nonce().await, next + 1, "sent once");
    drop(rig);

    // The first knows nothing but the first block, and says so with confidence: the second one is asked.
    first.set(Fault::BehindAt(0));
    let config = SubmissionConfig { max_head_age_seconds: 2, ..quick() };
    let born = seconds_of(&ground.chain, "0x0").await * 1000;
    tokio::time::sleep(Duration::from_millis((born + 4_000).saturating_sub(now_ms()).min(4_000))).await;
    let rig = Rig::start(&ground.chain, &Setting { config, ..setting });
    let certificate = ground.certificate();
    rig.submit(&certificate).await;
    rig.until("the reason is noted", || {
        notes(&rig, &certificate).contains("behind") || rig.submission(&certificate).is_some()
    })
    .await;
    ground.executes(&rig, &certificate).await;
}

async fn chain_seconds(chain: &Chain) -> u64 {
    seconds_of(chain, "latest").await
}

async fn seconds_of(chain: &Chain, block: &str) -> u64 {
    let block = chain.ask("eth_getBlockByNumber", json!([block, false])).await;
    serde_json::from_value::<U64>(block["timestamp"].clone()).unwrap().to()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorganisation_within_the_confirmations_is_recovered_from() {
    let mut ground = Ground::new(Rules { validity_slots: 60, ..Rules::default() }).await;
    let config = SubmissionConfig { confirmations: 3, ..quick() };
    let rig = Rig::start(&ground.chain, &Setting { config, ..Setting::of(&ground.chain) });
    let certificate = ground.certificate();
    rig.submit(&certificate).await;
    until_sent(&rig, &certificate).await;
    ground.mine(2).await;
    let mined = || rig.submission(&certificate).is_some_and(|s| matches!(s.stage, Stage::Mined { .. }));
    rig.until("it is in a block", mined).await;
    assert_eq!(rig.state(&certificate), "submitted", "not deep enough to count");
    // The two blocks come again, without it.
    ground.chain.ask("anvil_reorg", json!([2, []])).await;
    ground.chain.ask("anvil_dropAllTransactions", json!([])).await;
    assert_eq!(ground.chain.executions().await, 0);
    rig.until("it is sent again", || rig.submission(&certificate).is_some_and(|s| s.stage == Stage::Sent)).await;
    assert_eq!(rig.submission(&certificate).unwrap().signed.len(), 1, "the same bytes");
    ground.executes(&rig, &certificate).await;
    // One that is deep enough stays as it was.
    ground.mine(1).await;
    assert_eq!(rig.state(&certificate), "executed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_revert_is_dropped_and_a_standby_submits_only_what_the_chain_lacks() {
    let deadline = 3;
    let mut ground = Ground::new(Rules { validity_slots: 60, deadline }).await;
    what_would_revert_is_dropped(&mut ground).await;
    a_held_back_certificate_steps_in(&mut ground).await;
    a_standby_waits_for_the_deadline(&mut ground, u64::from(deadline)).await;
}

async fn what_would_revert_is_dropped(ground: &mut Ground) {
    let rig = Rig::start(&ground.chain, &Setting::of(&ground.chain));
    let before = ground.nonce().await;
    let thin = ground.signed_by(&[0]);
    rig.submit(&thin).await;
    rig.until("the reason is noted", || notes(&rig, &thin).contains("QuorumNotReached")).await;
    assert!(rig.submission(&thin).is_none());
    let good = ground.certificate();
    rig.submit(&good).await;
    ground.executes(&rig, &good).await;
    assert_eq!(ground.nonce().await, before + 1, "only the good one was sent");
    assert_eq!(rig.state(&thin), "certified", "still to be written off");
}

async fn a_held_back_certificate_steps_in(ground: &mut Ground) {
    let rig = Rig::start(&ground.chain, &Setting::of(&ground.chain));
    let slot = ground.chain.slot();
    let task = ground.chain.record(0, slot);
    let failing = certified(&ground.chain, &ground.set, vec![task.clone()], &[1], 0);
    let twin = certified(&ground.chain, &ground.set, vec![task], &ALL, 1);
    assert_eq!(failing.batch.hashes, twin.batch.hashes);
    rig.record(&twin).await;
    rig.submit(&failing).await;
    ground.executes(&rig, &twin).await;
    rig.until("the first is superseded", || rig.state(&failing) == "superseded").await;
}

async fn a_standby_waits_for_the_deadline(ground: &mut Ground, deadline: u64) {
    let signer = ground.chain.operators[1].signer.clone();
    ground.chain.fund(signer.address()).await;
    let standby = StandbyConfig { rank: 1, step_seconds: 2 };
    let active = Rig::start(&ground.chain, &Setting::of(&ground.chain));
    let second = Rig::start(&ground.chain, &Setting { signer: signer.clone(), standby, ..Setting::of(&ground.chain) });

    // Both are alive: the aggregator submits, and the standby finds it done.
    let shared = ground.certificate();
    active.submit(&shared).await;
    second.submit(&shared).await;
    ground.executes(&active, &shared).await;
    ground.mines_until_executed(&second, &shared).await;
    assert_eq!(nonce(&ground.chain, signer.address()).await, 0, "the standby sent nothing");

    // The aggregator is gone: not before the deadline, and then.
    active.crash().await;
    let slot = chain_seconds(&ground.chain).await.saturating_sub(ground.chain.network.genesis_seconds) / 2 + 1;
    let start = ground.chain.network.schedule().start_seconds(slot);
    let task = ground.chain.record(3, slot);
    let orphan = certified(&ground.chain, &ground.set, vec![task], &ALL, 0);
    second.submit(&orphan).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    if chain_seconds(&ground.chain).await < start + deadline {
        assert!(second.submission(&orphan).is_none(), "it is not its turn");
    }
    ground.executes(&second, &orphan).await;
    let sent = tokio::time::timeout(PATIENCE, nonce(&ground.chain, signer.address())).await.unwrap();
    assert_eq!(sent, 1);
    assert_eq!(CHAIN, ground.chain.network.target_chain);
}
