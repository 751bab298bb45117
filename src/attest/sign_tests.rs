#![allow(clippy::unwrap_used)]
use std::sync::Mutex;
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use ditto_core::chain::Head;
use ditto_core::consent::Proposal;
use ditto_core::operators::OperatorSet;
use ditto_core::proposal::{BatchId, ProposedBatch};
use ditto_core::stage::{Actor, Pipeline, StageConfig};
use ditto_core::store::WriterConfig;
use ditto_core::task::{ConsentTerms, Occurrence, Task};
use ditto_core::userop::UserOperation;
use ditto_core::verdict::VerdictVector;

use super::*;
use crate::history::History;
use crate::simulate::SlotReads;
use crate::slot::SlotContext;

const SLOT: u64 = 10;

/// Keeps the votes.
struct Keep(Arc<Mutex<Vec<Ballot>>>);

impl Actor for Keep {
    type Item = Ballot;
    async fn handle(&mut self, ballot: Ballot, _: Deadline) -> Outcome {
        self.0.lock().unwrap().push(ballot);
        ditto_core::stage::DONE
    }
}

fn judged(own_standing: Standing, operation: u8) -> Judged {
    let later = || Deadline::after(Duration::from_secs(60));
    let context = SlotContext {
        slot: SLOT,
        start_seconds: 0,
        head: Head { number: 5, hash: B256::ZERO, parent: B256::ZERO, timestamp: 0, base_fee: 0 },
        pins: Vec::new(),
        pins_hash: B256::ZERO,
        set: Arc::new(OperatorSet::new(1, Vec::new(), B256::ZERO)),
        ranks: Vec::new(),
        own_rank: None,
        own_index: Some(2),
        own_standing,
        reads: Arc::new(SlotReads::new(Arc::default(), &[])),
        end: later(),
        votes_until: later(),
    };
    let task = Task {
        occurrence: Occurrence { workflow: 1, slot: SLOT },
        op: UserOperation {
            sender: Address::ZERO,
            nonce: U256::ZERO,
            call_data: vec![1].into(),
            verification_gas: 1,
            call_gas: 1,
            pre_verification_gas: 1,
            max_fee: 1,
            max_priority_fee: 1,
        },
        terms: ConsentTerms { session_key: Address::ZERO, valid_after: 1, valid_until: 2 },
        evidence: Vec::new(),
        run: B256::ZERO,
    };
    let proposal = Proposal {
        slot: SLOT,
        setId: 1,
        taskDefinitionId: 1,
        performer: Address::ZERO,
        aggregator: Address::ZERO,
        pins: B256::ZERO,
        tasks: B256::ZERO,
        targetChainId: U256::from(1),
    };
    let batch = ProposedBatch {
        proposal,
        signature: [0; 65],
        engine_id: B256::ZERO,
        pins: Vec::new(),
        batch_hashes: Vec::new(),
        index: 0,
        tasks: vec![task],
    };
    Judged {
        context: Arc::new(context),
        batch: Arc::new(batch),
        id: BatchId { proposal: B256::repeat_byte(operation), index: 0 },
        hashes: vec![B256::repeat_byte(operation)].into(),
        verdicts: VerdictVector(vec![Verdict::Approve]),
        part: false,
    }
}

/// Who does not count in a slot signs nothing and journals nothing: its word is still free for a later attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_count_signs_nothing_and_binds_itself_to_nothing() {
    let state = tempfile::tempdir().unwrap();
    let key = SecretKey::derive(&[1; 32]).unwrap();
    let identity = Journal::identity("test", 1, &key.public());
    Journal::init(state.path(), &identity, 0).unwrap();
    let journal = Journal::open(state.path(), &identity, &WriterConfig::default()).unwrap();
    let domain = SigningDomain {
        chain_id: 1,
        attestation_center: Address::repeat_byte(1),
        entry_point: Address::repeat_byte(2),
    };
    let votes = Arc::new(Mutex::new(Vec::new()));
    let mut pipeline = Pipeline::new("test", Duration::from_secs(5));
    let (cast, to_cast) = pipeline.queue("cast", &StageConfig::waiting(16, 1));
    pipeline.actor(to_cast, Keep(votes.clone()));
    let board = Arc::new(Board::new(History::default()));
    let sign = Arc::new(Sign { key, journal, domain, board, cast });
    let work = |judged| {
        let sign = sign.clone();
        async { tokio::task::spawn_blocking(move || sign.work(judged, Deadline::NONE)).await.unwrap() }
    };
    assert_eq!(work(judged(Standing::Unseated, 1)).await, "not_in_committee");
    assert_eq!(work(judged(Standing::BelowMinimum, 2)).await, "below_minimum");
    assert_eq!(work(judged(Standing::Powerless, 3)).await, "powerless");
    assert_eq!(work(judged(Standing::Attests, 4)).await, "signed");
    assert_eq!(work(judged(Standing::Attests, 1)).await, "abstained", "another operation of that occurrence");
    drop(sign);
    pipeline.shutdown().await;
    let votes: Vec<_> = votes.lock().unwrap().iter().map(|ballot| ballot.id.proposal).collect();
    assert_eq!(votes, [B256::repeat_byte(4)]);
}
