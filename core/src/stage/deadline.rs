//! Until when an item is worth handling.

use std::time::{Duration, Instant};

/// Until when an item is worth handling: mostly the end of the slot it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Never too late: for what must not be lost, such as the submission of a certificate.
    pub const NONE: Self = Self(None);

    /// Worth handling until this instant.
    #[must_use]
    pub fn at(instant: Instant) -> Self {
        Self(Some(instant))
    }

    /// Worth handling for this long from now.
    #[must_use]
    pub fn after(duration: Duration) -> Self {
        // An instant that cannot be represented is centuries away.
        Self(Instant::now().checked_add(duration))
    }

    /// Never too late.
    #[must_use]
    pub fn none() -> Self {
        Self::NONE
    }

    /// The instant; `None` when there is none.
    #[must_use]
    pub fn instant(self) -> Option<Instant> {
        self.0
    }

    /// Is it too late?
    #[must_use]
    pub fn expired(self) -> bool {
        self.0.is_some_and(|at| Instant::now() >= at)
    }

    /// How long is left, zero when it is too late; `None` when there is no deadline.
    #[must_use]
    pub fn remaining(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// The earlier of the two.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(a.min(b))),
            (a, b) => Self(a.or(b)),
        }
    }
}
