//! The account's nonces: which is next, which are open, which are missing. Pure state; the one place that knows.

use std::collections::BTreeSet;

/// The nonces of one account.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    /// The next one; `None` until the node was asked.
    next: Option<u64>,
    /// Those whose transactions are on their way.
    open: BTreeSet<u64>,
    /// Gaps that were there at the last look as well.
    suspected: BTreeSet<u64>,
}

/// Gaps filled at one look; the rest follows at the next.
const FILLED_AT_ONCE: usize = 16;

impl Nonces {
    /// These are taken by what an earlier run signed.
    pub fn with_open(open: impl IntoIterator<Item = u64>) -> Self {
        Self { open: open.into_iter().collect(), ..Self::default() }
    }

    /// The next nonce, when it is known.
    pub fn next(&self) -> Option<u64> {
        self.next
    }

    /// Takes note of how many transactions the node says are mined; a node that is behind takes nothing back.
    pub fn mined(&mut self, mined: u64) {
        let after_open = self.open.last().map_or(0, |last| last.saturating_add(1));
        self.next = Some(self.next.unwrap_or_default().max(mined).max(after_open));
    }

    /// A transaction with it is on the disk.
    pub fn used(&mut self, nonce: u64) {
        self.open.insert(nonce);
        self.next = Some(self.next.unwrap_or_default().max(nonce.saturating_add(1)));
    }

    /// Its transaction is deep enough in the chain, or another one took its place.
    pub fn settled(&mut self, nonce: u64) {
        self.open.remove(&nonce);
    }

    /// The nonces that nothing of ours will use and without which nothing later is mined, when they were missing at the
    /// last look too: one look may come between a reorganisation and the return of what it took out.
    pub fn gaps(&mut self, mined: u64) -> Vec<u64> {
        self.mined(mined);
        let missing: BTreeSet<u64> = (mined..self.next.unwrap_or_default())
            .filter(|nonce| !self.open.contains(nonce))
            .take(FILLED_AT_ONCE)
            .collect();
        let gaps = missing.intersection(&self.suspected).copied().collect();
        self.suspected = missing;
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_runs_nonces_are_not_given_away() {
        let mut nonces = Nonces::with_open([7, 9]);
        nonces.mined(5);
        assert_eq!(nonces.next(), Some(10));
        nonces.mined(12);
        assert_eq!(nonces.next(), Some(12), "somebody else uses the key");
        nonces.mined(3);
        assert_eq!(nonces.next(), Some(12), "a node that is behind");
    }

    #[test]
    fn a_gap_is_filled_when_it_was_seen_twice() {
        let mut nonces = Nonces::default();
        nonces.mined(5);
        for nonce in 5..9 {
            nonces.used(nonce);
        }
        assert!(nonces.gaps(5).is_empty());
        nonces.settled(5);
        nonces.settled(7);
        assert!(nonces.gaps(5).is_empty(), "perhaps the node is only behind");
        assert_eq!(nonces.gaps(5), [5, 7]);
        nonces.used(5);
        assert_eq!(nonces.gaps(5), [7]);
        assert!(nonces.gaps(9).is_empty(), "all mined");
    }
}
