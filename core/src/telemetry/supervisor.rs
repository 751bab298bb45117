//! The service manager: systemd is told that the process is up, what it waits for, that it lives, and that it stops.
//!
//! The protocol is `sd_notify(3)`. Outside of systemd (no `NOTIFY_SOCKET`) nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use super::Readiness;

/// How often the status line is looked at anew.
const LOOK: Duration = Duration::from_secs(2);

/// Says that the process is up: its configuration is good, its keys are read, its state is open, `/status` answers. Nodes
/// and peers that are not there yet are waited for, which the status line tells; a start that waited for them would make
/// systemd kill an operator whose node is down.
///
/// From now on the watchdog is fed, from the same threads that run the pipeline: when those are stuck for the unit's
/// `WatchdogSec`, systemd starts the process anew.
pub fn up(readiness: Readiness, stop: CancellationToken) {
    tell(&[NotifyState::Ready]);
    let watchdog = sd_notify::watchdog_enabled();
    // Twice as often as systemd looks, as sd_watchdog_enabled(3) advises.
    let period = watchdog.map_or(LOOK, |limit| LOOK.min(limit / 2)).max(Duration::from_millis(100));
    tokio::spawn(async move {
        let mut every = tokio::time::interval(period);
        let mut said = String::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {}
            }
            if watchdog.is_some() {
                tell(&[NotifyState::Watchdog]);
            }
            let line = readiness.line();
            if line != said {
                tell(&[NotifyState::Status(&line)]);
                said = line;
            }
        }
    });
}

/// Says that the process drains, so that systemd does not take its silence for a hang.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining: what is under way is finished first")]);
}

/// Tells systemd that the configuration is read again; [`reloaded`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "no monotonic clock to tell systemd of"),
    }
}

/// The configuration was read again, or refused.
pub fn reloaded() {
    tell(&[NotifyState::Ready]);
}

fn tell(states: &[NotifyState<'_>]) {
    // A service manager that does not listen is no reason to stop working.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
