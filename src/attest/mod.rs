//! Attest: judge what is proposed, sign it once, vote.
//!
//! Three stages. [`Judge`] owns what this operator knows of the open slots and compares proposals with it; [`Sign`]
//! journals the verdicts and signs them (CPU); [`Cast`] brings the vote to the aggregator, directly when it can, by gossip
//! when it must. Beside them [`reveal`] shows everybody the votes that the aggregator has not brought to the chain in time.

mod cast;
mod compare;
pub mod interchange;
mod journal;
pub mod journal_command;
mod judge;
mod parts;
pub mod reveal;
pub mod sent;
mod sign;

use ditto_core::p2p::{MessageToken, PeerId};
use ditto_core::proposal::ProposedBatch;
use ditto_core::wire::Split;

#[cfg(test)]
pub(crate) use cast::tests::ballot;
pub use cast::{Ballot, Cast};
pub use compare::verdict;
pub use journal::{Entry, Journal, JournalError};
pub use judge::{Judge, Judged};
pub use sign::Sign;

use crate::slot::Note;

/// What the judge is told.
#[derive(Debug)]
pub enum Item {
    /// Something about a slot.
    Note(Note),
    /// A batch was proposed.
    Proposed {
        /// The batch, decoded and otherwise unchecked.
        batch: Box<ProposedBatch>,
        /// Who passed it on and how to answer them; nobody, when it is this operator's own.
        from: Option<(PeerId, MessageToken)>,
    },
    /// Votes in parts were asked for.
    Asked {
        /// The request, decoded and otherwise unchecked.
        split: Box<Split>,
        /// How to answer who passed it on.
        token: Option<MessageToken>,
    },
}

impl From<Note> for Item {
    fn from(note: Note) -> Self {
        Self::Note(note)
    }
}
