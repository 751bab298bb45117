//! What a slot's operations cost the node, by the real stage and a proxy that counts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../core/tests/chain/proxy.rs"]
mod proxy;

mod fixture;

use ditto_core::chain::Batcher;
use ditto_operator::build::in_bursts;
use fixture::Fixture;
use futures::future::join_all;

const OPERATIONS: u64 = 64;

#[tokio::test]
async fn a_slot_s_dry_runs_go_in_a_few_batches_and_a_policy_is_read_once() {
    let fixture = Fixture::start().await;
    let stage = fixture.stage(in_bursts(&Batcher::start(fixture.rpc.clone(), 100)));
    let mut runs = Vec::new();
    for id in 0..OPERATIONS {
        runs.push(fixture.run(id).await);
    }
    fixture.proxy.forget();
    let built = join_all(runs.into_iter().map(|run| stage.build(run))).await;
    assert!(built.iter().all(|label| *label == "operation"), "{built:?}");
    // Session, nonce, the meter, the meter with the limit, and the whole; and the policy that all share.
    assert_eq!(fixture.proxy.asked("eth_call"), 5 * OPERATIONS as usize + 1);
    let batches = fixture.proxy.batches();
    // Six fill them best; a machine that pauses breaks one in two now and then.
    assert!(batches.len() <= 16, "{batches:?}");
}
