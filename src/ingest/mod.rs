//! Ingest: what is due now.
//!
//! [`slots`] is the pipeline's source: it wakes at every slot's start. [`Plan`] is the first stage: it waits for the
//! slot's pins, reads operator set and registry there, elects the performers, and sends every due occurrence to
//! simulation, the carried-over ones among them.

pub mod due;
mod plan;
mod published;
mod registry;
pub mod triggers;

use ditto_core::clock::{Slot, SlotClock};
use ditto_core::stage::{Deadline, Outbox, Refused};
use tokio_util::sync::CancellationToken;

pub use plan::{Checks, Plan};
pub use published::Workflow;
pub use registry::{CodeError, Registry};
pub use triggers::{PublishedTrigger, Trigger, TriggerError};

/// Sends every slot at its start, from the next one on. A slot that is over before there is room is dropped, and counted
/// by its stage.
pub async fn slots(clock: SlotClock, plan: Outbox<Slot>, stopping: CancellationToken) {
    let mut next = clock.current().map_or(0, |slot| slot + 1);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(clock.until(next, 0)) => {}
        }
        // A machine that slept, or a clock that was set, does not replay what it missed.
        if let Some(current) = clock.current().filter(|current| *current > next) {
            tracing::warn!(from = next, to = current, "slots were missed");
            metrics::counter!("ditto_operator_slots_missed_total").increment(current - next);
            next = current;
        }
        if clock.current().is_none_or(|current| current < next) {
            continue;
        }
        metrics::histogram!("ditto_operator_slot_lag_seconds").record(clock.since_ms(next) as f64 / 1000.0);
        if let Err(Refused::Closed(_)) = plan.send(next, Deadline::at(clock.end_of(next))).await {
            return;
        }
        next += 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ditto_core::clock::{Clock, SlotSchedule};
    use ditto_core::stage::{Handler, Outcome, Pipeline, StageConfig};
    use ditto_core::telemetry::measured;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;
    use tokio::sync::mpsc;

    /// Is in slot 3 when it is first asked, and from then on in slot 9: the machine slept.
    struct Slept(AtomicU64);

    impl Clock for Slept {
        fn now_ms(&self) -> u64 {
            if self.0.fetch_add(1, Ordering::SeqCst) == 0 { 6_500 } else { 18_500 }
        }
    }

    struct Tell(mpsc::UnboundedSender<Slot>);

    impl Handler for Tell {
        type Item = Slot;

        async fn handle(&self, slot: Slot, _deadline: Deadline) -> Outcome {
            self.0.send(slot).ok();
            "planned"
        }
    }

    #[tokio::test]
    async fn a_machine_that_slept_counts_what_it_missed_and_replays_none_of_it() {
        let missed = || measured("ditto_operator_slots_missed_total", &[]);
        assert!(missed() < 0.5);
        let clock =
            SlotClock::new(SlotSchedule { genesis_seconds: 0, slot_seconds: 2 }, Arc::new(Slept(AtomicU64::new(0))));
        let mut pipeline = Pipeline::new("test", Duration::from_secs(5));
        let (plan, inbox) = pipeline.queue("slept", &StageConfig::waiting(2, 1));
        let (tell, mut told) = mpsc::unbounded_channel();
        pipeline.io(inbox, Tell(tell));
        pipeline.source("slots", |stopping| slots(clock, plan, stopping));
        let first = tokio::time::timeout(Duration::from_secs(60), told.recv()).await.unwrap();
        assert_eq!(first, Some(9), "4 to 8 are gone");
        assert!((missed() - 5.0).abs() < 0.5, "{} missed", missed());
        pipeline.shutdown().await;
    }
}
