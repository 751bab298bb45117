//! Reading ahead: when a slot's block arrives, what the slot before read of that chain is read again at once. The plan
//! still waits for other chains, sets and code then; its runs find the answers in the cache, or on their way.

use std::sync::Arc;

use ditto_core::chain::Heads;
use ditto_core::clock::SlotClock;
use ditto_core::proposal::Pin;
use tokio_util::sync::CancellationToken;

use super::ReadCache;

/// Reads ahead for one chain, slot by slot. Never behind: a slot without a pin is left at its end.
pub async fn follow(
    cache: Arc<ReadCache>,
    clock: SlotClock,
    chain_id: u64,
    pin_lag_seconds: u64,
    heads: Heads,
    stopping: CancellationToken,
) {
    let mut slot = clock.current().map_or(0, |slot| slot + 1);
    loop {
        let ahead = async {
            // The pin of a slot is known about when the slot begins, and never before its time.
            let at = clock.schedule().start_seconds(slot).saturating_sub(pin_lag_seconds);
            let Some(head) = heads.pin(at).await else { return };
            let pin = Pin { chain_id, number: head.number, hash: head.hash };
            let count = cache.prefetch(slot, pin).await;
            tracing::debug!(chain = chain_id, slot, count, "read ahead");
        };
        let end = tokio::time::Instant::from_std(clock.end_of(slot));
        tokio::select! {
            () = stopping.cancelled() => return,
            // Too late to be ahead: what is under way goes on in the cache only if a run waits for it.
            _late = tokio::time::timeout_at(end, ahead) => {}
        }
        // When the heads have ended there is nothing to wait for, so the slot's end is.
        let next = clock.current().map_or(slot + 1, |current| (slot + 1).max(current));
        if next > slot + 1 {
            tracing::debug!(chain = chain_id, from = slot, to = next, "slots were not read ahead");
        }
        slot = next;
        if heads.ended() {
            return;
        }
    }
}
