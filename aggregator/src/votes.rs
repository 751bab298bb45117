//! The counter of votes by what became of them, which several stages feed.

use crate::collect::Unwanted;

const VOTES: &str = "ditto_aggregator_votes_total";
const SPLITS: &str = "ditto_aggregator_splits_total";
/// Fates beyond those of screening.
const FATES: [&str; 7] = ["received", "accepted", "malformed", "park_expired", "late", "bad_signature", "counted"];

/// Counts a vote.
pub fn count(fate: &'static str) {
    count_many(fate, 1);
}

/// Counts a question to attesters.
pub fn count_split() {
    metrics::counter!(SPLITS).increment(1);
}

/// Counts votes.
pub fn count_many(fate: &'static str, votes: usize) {
    metrics::counter!(VOTES, "fate" => fate).increment(votes as u64);
}

/// Exports every fate as zero, and says what the counter means.
pub fn describe() {
    metrics::describe_counter!(
        VOTES,
        metrics::Unit::Count,
        "Votes by fate: received, then accepted (passed screening) or the reason why not; counted (part of a certificate), \
         late (after the certificate), bad_signature (checked alone)."
    );
    metrics::describe_counter!(
        SPLITS,
        metrics::Unit::Count,
        "Disputed batches whose attesters were asked to vote in parts."
    );
    metrics::counter!(SPLITS).increment(0);
    crate::evidence::describe();
    for fate in FATES.into_iter().chain(Unwanted::ALL.map(Unwanted::label)) {
        count_many(fate, 0);
    }
}
