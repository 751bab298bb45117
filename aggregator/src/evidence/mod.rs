//! Proven faults, kept so that anybody can check them: two signatures of one key that no honest node gives.
//!
//! A record holds everything that was signed, in the fields of the signed types, so that it is verified from itself alone:
//! no chain, no peer, no other file. One file per fault, in `evidence/` below the state directory: a directory that is read
//! while the aggregator runs, copied elsewhere, or handed to whoever judges it.

mod record;
mod store;

pub use record::{Consent, Evidence, Fault, Header, Rejection, SignedProposal, SignedVote, Unproven};
pub use store::{Kept, Listed, Store, StoreError, describe, list};
