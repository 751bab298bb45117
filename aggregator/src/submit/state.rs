//! Where a submission stands, and what moves it: pure, and the same as the table in `docs/submission.md`.
//!
//! ```text
//!              signed, on disk      a node took it       receipt         deep enough
//!  certificate ───────────► Prepared ───────► Sent ───────────► Mined ───────────► Final
//!                               │              │ ▲               │ │
//!                               │              │ └── reorganised ┘ ├─ reverted ──► Failed
//!                               │              │      away         └─ cancelled ─► Expired
//!                               └──────────────┴─ nonce used by another ─────────► Lost
//! ```
//!
//! Signing again for a higher fee or as a cancellation adds a transaction under the same nonce and moves nothing: whichever
//! of them the chain takes is found by its receipt.

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

/// Where a submission stands. The last four are ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// Signed and on the disk, perhaps not sent yet.
    Prepared,
    /// Handed to a node.
    Sent,
    /// In a block, not yet deep enough.
    Mined {
        /// Which transaction.
        tx: B256,
        /// In which block.
        block: u64,
    },
    /// In a block that is deep enough.
    Final {
        /// Which transaction.
        tx: B256,
    },
    /// Mined and reverted, deep enough.
    Failed {
        /// Why.
        reason: String,
    },
    /// A cancellation used up its nonce, because its operations' validity had ended.
    Expired,
    /// A transaction that is none of ours used up its nonce.
    Lost,
}

/// What the chain showed of a submission at one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A node took a transaction, or had it.
    Taken,
    /// One of its transactions is in a block.
    Receipt {
        /// Which.
        tx: B256,
        /// In which block.
        block: u64,
        /// As many blocks follow as are configured.
        deep: bool,
        /// What came of it.
        result: TxResult,
    },
    /// None of its transactions is in a block.
    NoReceipt,
    /// None of its transactions is in a block, and its nonce is used up: at several looks in a row.
    NonceUsed,
}

/// What came of a mined transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxResult {
    /// The contract took it.
    Done,
    /// It reverted, for this reason.
    Reverted(String),
    /// It only used up the nonce.
    Cancelled,
}

impl Stage {
    /// Is the nonce still open as far as this node knows?
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        matches!(self, Self::Prepared | Self::Sent | Self::Mined { .. })
    }

    /// Where it stands after this was seen. From an end no way leads on.
    #[must_use]
    pub fn after(&self, seen: &Seen) -> Self {
        if !self.is_in_flight() {
            return self.clone();
        }
        match (self, seen) {
            (Self::Prepared, Seen::Taken) => Self::Sent,
            (_, Seen::Receipt { tx, block, deep: false, .. }) => Self::Mined { tx: *tx, block: *block },
            (_, Seen::Receipt { tx, deep: true, result, .. }) => match result {
                TxResult::Done => Self::Final { tx: *tx },
                TxResult::Reverted(reason) => Self::Failed { reason: reason.clone() },
                TxResult::Cancelled => Self::Expired,
            },
            (Self::Mined { .. }, Seen::NoReceipt | Seen::NonceUsed) => Self::Sent,
            (_, Seen::NonceUsed) => Self::Lost,
            (stage, Seen::Taken | Seen::NoReceipt) => stage.clone(),
        }
    }

    /// Its name, as the ledger and the documentation have it.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Sent => "sent",
            Self::Mined { .. } => "mined",
            Self::Final { .. } => "final",
            Self::Failed { .. } => "failed",
            Self::Expired => "expired",
            Self::Lost => "lost",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TX: B256 = B256::repeat_byte(1);

    fn stages() -> Vec<Stage> {
        vec![
            Stage::Prepared,
            Stage::Sent,
            Stage::Mined { tx: TX, block: 1 },
            Stage::Final { tx: TX },
            Stage::Failed { reason: "why".into() },
            Stage::Expired,
            Stage::Lost,
        ]
    }

    fn events() -> Vec<(&'static str, Seen)> {
        let receipt = |deep, result| Seen::Receipt { tx: TX, block: 2, deep, result };
        vec![
            ("taken", Seen::Taken),
            ("receipt", receipt(false, TxResult::Done)),
            ("deep", receipt(true, TxResult::Done)),
            ("deep, reverted", receipt(true, TxResult::Reverted("why".into()))),
            ("deep, cancellation", receipt(true, TxResult::Cancelled)),
            ("no receipt", Seen::NoReceipt),
            ("nonce used", Seen::NonceUsed),
        ]
    }

    /// The documented table is the code: every state, every event.
    #[test]
    fn the_documentation_shows_every_transition() {
        let document = include_str!("../../../docs/submission.md");
        let cells = |line: &str| -> Vec<String> {
            line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
        };
        let mut lines =
            document.lines().skip_while(|line| !line.starts_with("| state ")).take_while(|l| l.starts_with('|'));
        let head = cells(lines.next().unwrap());
        let names: Vec<_> = events().iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(head[1..], names);
        let rows: Vec<_> = lines.skip(1).map(cells).collect();
        assert_eq!(rows.len(), stages().len());
        for (stage, row) in stages().iter().zip(rows) {
            assert_eq!(row[0], stage.label());
            for ((name, seen), shown) in events().iter().zip(&row[1..]) {
                let next = stage.after(seen);
                let expected = if next.label() == stage.label() { "" } else { next.label() };
                assert_eq!(shown, expected, "{} when {name}", stage.label());
            }
        }
    }

    #[test]
    fn a_receipt_that_moves_to_another_block_is_noted() {
        let moved = Stage::Mined { tx: TX, block: 1 }.after(&Seen::Receipt {
            tx: TX,
            block: 9,
            deep: false,
            result: TxResult::Done,
        });
        assert_eq!(moved, Stage::Mined { tx: TX, block: 9 });
    }
}
