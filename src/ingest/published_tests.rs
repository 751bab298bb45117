#![allow(clippy::unwrap_used)]
use super::*;
use alloy::primitives::Bytes;
use proptest::prelude::*;

fn workflow(id: WorkflowId) -> Workflow {
    Workflow {
        id,
        account: Address::ZERO,
        code_hash: B256::ZERO,
        session_key: Address::ZERO,
        triggers: Ok(Vec::new()),
        trigger_hash: B256::ZERO,
        args: String::new(),
        valid_after: 0,
        valid_until: 0,
        published_at: 0,
    }
}

fn publish(id: WorkflowId) -> Change {
    Change::Published(Arc::new(workflow(id)))
}

fn ids(published: &Published) -> Vec<WorkflowId> {
    published.workflows().map(|workflow| workflow.id).collect()
}

fn hash(number: u64) -> B256 {
    B256::left_padding_from(&number.to_be_bytes())
}

/// Brought up to 100, 160 and 200, with an event in each stretch.
fn state() -> Published {
    let mut published = Published::default();
    published.apply(90, publish(1));
    published.apply(95, publish(2));
    published.reached(100, hash(100));
    published.apply(150, Change::Cancelled(1));
    published.reached(160, hash(160));
    published.apply(170, publish(3));
    published.apply(180, Change::Cancelled(2));
    published.reached(200, hash(200));
    published
}

#[test]
fn what_is_published_and_not_cancelled_is_there() {
    let published = state();
    assert_eq!(ids(&published), [3]);
    assert_eq!(published.synced(), Some((200, hash(200))));
}

#[test]
fn going_back_drops_later_publications_and_undoes_later_cancellations() {
    let mut published = state();
    assert_eq!(published.rewind(199), Some(100), "the last one that is deep enough");
    assert_eq!(ids(&published), [1, 2]);
    assert_eq!(published.synced(), Some((100, hash(100))));
    published.apply(150, Change::Cancelled(1));
    published.reached(160, hash(161));
    assert_eq!(ids(&published), [2], "the other fork cancelled the first one as well, and nothing else");
}

#[test]
fn deeper_than_there_is_a_way_back_everything_is_forgotten() {
    let mut published = state();
    assert_eq!(published.rewind(99), None, "the pin is below the oldest checkpoint");
    assert!(ids(&published).is_empty() && published.synced().is_none());

    let mut published = state();
    assert_eq!(published.rewind(199), Some(100));
    assert_eq!(published.rewind(199), None, "the oldest checkpoint itself was given up");
    assert!(ids(&published).is_empty() && published.synced().is_none());
    assert_eq!(published.rewind(199), None, "and once more does no harm");
}

#[test]
fn a_way_back_of_the_promised_depth_is_kept_and_no_more() {
    let mut published = Published::default();
    published.apply(1, publish(1));
    published.apply(2, Change::Cancelled(1));
    for number in 1..=1_000 {
        published.reached(number, hash(number));
    }
    assert_eq!(published.checkpoints.len() as u64, DEPTH + 1);
    assert!(published.entries.is_empty(), "no way back leads to before the cancellation");
    assert_eq!(published.rewind(1_000), Some(1_000 - DEPTH));
}

#[test]
fn the_registrys_logs_are_read() {
    let cancelled = WorkflowRegistry::WorkflowCancelled { id: 7 };
    let mut log = Log::default();
    log.inner.data = cancelled.encode_log_data();
    assert!(matches!(Change::read(&log, 5), Some(Change::Cancelled(7))));
    log.inner.data.data = Bytes::new();
    log.inner.data.set_topics_unchecked(vec![B256::ZERO]);
    assert!(Change::read(&log, 5).is_none(), "another event is none of ours");
}

proptest! {
    /// Events in block order, some cancelling what was published before.
    #[test]
    fn replays_and_ways_back_end_where_reading_once_ends(
        events in proptest::collection::vec((1u64..6, any::<bool>(), 1u64..12), 1..40),
        step in 1usize..5,
        back in 0usize..3,
    ) {
        let mut block = 0;
        let mut next = 0;
        let mut history = Vec::new();
        for (gap, cancels, id) in events {
            block += gap * 7;
            // The contract cancels only what was published.
            let change = if cancels && id <= next {
                Change::Cancelled(id)
            } else {
                next += 1;
                publish(next)
            };
            history.push((block, change));
        }
        let mut once = Published::default();
        for (block, change) in &history {
            once.apply(*block, change.clone());
        }

        let mut other = Published::default();
        let mut rewinds = back;
        loop {
            let synced = other.synced().map_or(0, |(number, _)| number);
            let rest: Vec<_> = history.iter().filter(|(block, _)| *block > synced).take(step).cloned().collect();
            let Some((to, _)) = rest.last().cloned() else {
                if rewinds == 0 { break }
                rewinds -= 1;
                other.rewind(u64::MAX);
                continue;
            };
            // A range is whole blocks, and is read twice here.
            let range: Vec<_> = history.iter().filter(|(block, _)| *block > synced && *block <= to).collect();
            for (block, change) in range.iter().chain(&range) {
                other.apply(*block, change.clone());
            }
            other.reached(to, hash(to));
        }
        prop_assert_eq!(ids(&other), ids(&once));
    }
}
