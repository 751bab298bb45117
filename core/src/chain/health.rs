//! What is thought of an endpoint: whether it rests after failing, and for which blocks it is set aside. No clock and no
//! network in here, so that every turn of it can be tested.

use std::time::{Duration, Instant};

use alloy::primitives::B256;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::RpcLimits;

/// Blocks for which it is remembered that an endpoint is of no use: more than the pins of the slots that overlap.
const ASIDE: usize = 8;
/// An endpoint that does not know a block may soon: it lags.
const UNKNOWN: Duration = Duration::from_millis(500);
/// One that has another block is on another fork, and stays there for a while.
const CONTRADICTS: Duration = Duration::from_secs(10);

/// Why an endpoint rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// It did not answer, or not sensibly: somebody has to try whether it does again.
    Failed,
    /// It asked to be spared.
    Limited,
}

/// Why an endpoint is of no use for a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aside {
    /// It does not have the block.
    Unknown,
    /// It has another one at that number.
    Contradicts,
}

impl Aside {
    pub(super) const ALL: [Self; 2] = [Self::Unknown, Self::Contradicts];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Contradicts => "contradicts",
        }
    }
}

/// An endpoint's health.
#[derive(Debug)]
pub(super) struct Health {
    rules: ExponentialBuilder,
    longest: Duration,
    rest: Option<(Rest, Instant)>,
    /// The pauses still to come, while failures follow each other.
    pauses: Option<ExponentialBackoff>,
    aside: Vec<(B256, Aside, Instant)>,
}

impl Health {
    pub(super) fn new(limits: &RpcLimits) -> Self {
        let longest = Duration::from_millis(limits.backoff_max_ms);
        let rules = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(limits.backoff_ms))
            .with_max_delay(longest)
            .with_jitter()
            .without_max_times();
        Self { rules, longest, rest: None, pauses: None, aside: Vec::new() }
    }

    /// It failed: it rests, longer with every failure in a row, and as long as it asked to. Says whether it was well before.
    pub(super) fn failed(&mut self, why: Rest, asked: Option<Duration>, now: Instant) -> bool {
        let well = self.pauses.is_none();
        // Failures of one moment are one: batches that were under way together say the same thing.
        if self.rest.is_some_and(|(_, until)| until > now) {
            return well;
        }
        let pause = self.pauses.get_or_insert_with(|| self.rules.build()).next().unwrap_or(self.longest);
        // Twice the longest is where jitter ends as well.
        let pause = pause.max(asked.unwrap_or_default()).min(self.longest * 2);
        self.rest = Some((why, now + pause));
        well
    }

    /// It answered. Says whether it had failed before.
    pub(super) fn answered(&mut self) -> bool {
        self.rest = None;
        self.pauses.take().is_some()
    }

    /// Why, and until when it rests.
    pub(super) fn rests(&self, now: Instant) -> Option<(Rest, Instant)> {
        self.rest.filter(|(_, until)| *until > now)
    }

    /// It is of no use for this block for now. Says whether that is news.
    pub(super) fn set_aside(&mut self, block: B256, why: Aside, now: Instant) -> bool {
        let news = !self.aside.iter().any(|(known, reason, _)| *known == block && *reason == why);
        self.aside.retain(|(known, ..)| *known != block);
        if self.aside.len() == ASIDE {
            self.aside.remove(0);
        }
        let pause = if why == Aside::Unknown { UNKNOWN } else { CONTRADICTS };
        self.aside.push((block, why, now + pause));
        news
    }

    /// It has this block.
    pub(super) fn agrees(&mut self, block: B256) {
        self.aside.retain(|(known, ..)| *known != block);
    }

    /// Whether it is of no use for this block, or, without one, whether it is on another fork.
    pub(super) fn is_aside(&self, block: Option<B256>, now: Instant) -> bool {
        self.aside.iter().any(|(known, why, until)| {
            *until > now
                && match block {
                    Some(block) => *known == block,
                    None => *why == Aside::Contradicts,
                }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> (Health, Instant) {
        (Health::new(&RpcLimits { backoff_ms: 100, backoff_max_ms: 1_000, ..RpcLimits::default() }), Instant::now())
    }

    #[test]
    fn pauses_grow_while_failures_follow_each_other() {
        let (mut health, mut now) = health();
        assert!(health.failed(Rest::Failed, None, now), "it was well");
        let mut least = 100;
        for round in 0..20 {
            let (why, until) = health.rests(now).unwrap_or_else(|| panic!("round {round}: no rest"));
            let pause = until - now;
            assert_eq!(why, Rest::Failed);
            assert!(pause >= Duration::from_millis(least) && pause <= Duration::from_millis(2_000), "{pause:?}");
            health.failed(Rest::Failed, None, now);
            assert_eq!(health.rests(now), Some((why, until)), "failures of one moment are one");
            now = until;
            assert_eq!(health.rests(now), None);
            assert!(!health.failed(Rest::Failed, None, now));
            least = (least * 2).min(1_000);
        }
        assert!(health.answered() && !health.answered());
        assert!(health.failed(Rest::Limited, None, now), "well again");
        assert!(health.rests(now).is_some_and(|(_, until)| until - now <= Duration::from_millis(200)));
    }

    #[test]
    fn it_is_spared_as_long_as_it_asks_within_bounds() {
        let (mut health, now) = health();
        health.failed(Rest::Limited, Some(Duration::from_secs(3_600)), now);
        assert_eq!(health.rests(now), Some((Rest::Limited, now + Duration::from_secs(2))));
    }

    #[test]
    fn it_is_set_aside_by_block_and_for_a_while() {
        let (mut health, now) = health();
        let (one, two) = (B256::repeat_byte(1), B256::repeat_byte(2));
        assert!(health.set_aside(one, Aside::Unknown, now));
        assert!(!health.set_aside(one, Aside::Unknown, now), "no news");
        assert!(health.is_aside(Some(one), now) && !health.is_aside(Some(two), now));
        assert!(!health.is_aside(None, now), "who lags is good for anything else");
        assert!(health.set_aside(one, Aside::Contradicts, now));
        assert!(health.is_aside(None, now), "who is on another fork is not");
        assert!(!health.is_aside(Some(one), now + CONTRADICTS));
        health.agrees(one);
        assert!(!health.is_aside(Some(one), now) && !health.is_aside(None, now));
        for byte in 0..=u8::MAX {
            health.set_aside(B256::repeat_byte(byte), Aside::Unknown, now);
        }
        assert_eq!(health.aside.len(), ASIDE);
    }
}
