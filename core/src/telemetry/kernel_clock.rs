//! What the kernel says of its clock: whether something keeps it, and how far off it may be.

use metrics::{Unit, describe_gauge, gauge};

/// The kernel's word (`adjtimex(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelClock {
    /// Something keeps it: a time service of this machine, or of its host.
    pub synchronised: bool,
    /// How far it may be off, in microseconds, as whoever keeps it reckons.
    pub max_error_us: u64,
}

impl KernelClock {
    /// Asks the kernel; sets nothing.
    ///
    /// # Errors
    /// When it does not tell, as in some containers.
    pub fn read() -> std::io::Result<Self> {
        // SAFETY: all zero is a valid `timex`: plain numbers; modes 0 asks and sets nothing.
        let mut timex: libc::timex = unsafe { std::mem::zeroed() };
        // SAFETY: `timex` lives through the call, which only writes to it.
        let state = unsafe { libc::adjtimex(&mut timex) };
        if state < 0 {
            return Err(std::io::Error::last_os_error());
        }
        let synchronised = state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0;
        Ok(Self { synchronised, max_error_us: u64::try_from(timex.maxerror).unwrap_or_default() })
    }
}

pub(super) fn describe() {
    describe_gauge!(
        "ditto_clock_synchronised",
        Unit::Count,
        "1 while the kernel knows of something that keeps its clock; 0 in a machine whose host does it alone."
    );
    describe_gauge!(
        "ditto_clock_max_error_seconds",
        Unit::Seconds,
        "How far the clock may be off, as the kernel reckons; proposals early by 0.2 s are not heard."
    );
}

/// Sets the metrics. Where the kernel does not tell, they keep what they showed.
#[allow(clippy::cast_precision_loss)] // microseconds of an error, not of an age
pub(super) fn measure() {
    if let Ok(clock) = KernelClock::read() {
        gauge!("ditto_clock_synchronised").set(if clock.synchronised { 1.0 } else { 0.0 });
        gauge!("ditto_clock_max_error_seconds").set(clock.max_error_us as f64 / 1e6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_or_says_that_it_does_not() {
        if let Ok(clock) = KernelClock::read() {
            assert!(!clock.synchronised || clock.max_error_us < 60_000_000, "{clock:?}");
        }
    }

    #[test]
    fn what_the_kernel_tells_is_what_is_scraped() {
        use crate::telemetry::measured;
        let Ok(before) = KernelClock::read() else { return };
        let (kept, error) = (measured("ditto_clock_synchronised", &[]), measured("ditto_clock_max_error_seconds", &[]));
        let after = KernelClock::read().unwrap();
        // Whoever keeps it may have come or gone meanwhile.
        if before.synchronised == after.synchronised {
            assert_eq!(kept > 0.5, before.synchronised);
            assert!(error >= before.max_error_us.min(after.max_error_us) as f64 / 1e6 - 1e-9, "{error}");
        }
    }
}
