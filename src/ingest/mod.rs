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
