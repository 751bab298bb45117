//! Direct votes: what the receiver answers, at once and before it verified anything.

use libp2p::request_response::ResponseChannel;
use tokio::sync::{mpsc, oneshot};

/// The receiver has the vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteReceipt {
    /// Taken into its queue; not yet verified.
    Accepted,
    /// It had this vote already.
    Duplicate,
}

/// The receiver does not take the vote, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoteRefusal {
    /// The sender has not proven who it is on this connection.
    #[error("the receiver has not admitted this node")]
    NotAuthenticated,
    /// The sender votes faster than allowed.
    #[error("too many votes a second")]
    RateLimited,
    /// The receiver's queue is full; try again or gossip.
    #[error("the receiver is busy")]
    Busy,
    /// The receiver does not collect votes, or not for this proposal.
    #[error("the receiver does not collect such votes")]
    Unwanted,
    /// The bytes are no vote.
    #[error("the vote is malformed")]
    Malformed,
    /// Too late for its slot.
    #[error("the vote comes too late")]
    Late,
    /// A code from a newer version.
    #[error("refused for a reason this version does not know")]
    Other,
}

pub(super) type VoteAnswer = Result<VoteReceipt, VoteRefusal>;

pub(super) fn encode(answer: VoteAnswer) -> Vec<u8> {
    vec![match answer {
        Ok(VoteReceipt::Accepted) => 0,
        Ok(VoteReceipt::Duplicate) => 1,
        Err(VoteRefusal::NotAuthenticated) => 2,
        Err(VoteRefusal::RateLimited) => 3,
        Err(VoteRefusal::Busy) => 4,
        Err(VoteRefusal::Unwanted) => 5,
        Err(VoteRefusal::Malformed) => 6,
        Err(VoteRefusal::Late) => 7,
        Err(VoteRefusal::Other) => 255,
    }]
}

pub(super) fn decode(bytes: &[u8]) -> VoteAnswer {
    match bytes {
        [0] => Ok(VoteReceipt::Accepted),
        [1] => Ok(VoteReceipt::Duplicate),
        [2] => Err(VoteRefusal::NotAuthenticated),
        [3] => Err(VoteRefusal::RateLimited),
        [4] => Err(VoteRefusal::Busy),
        [5] => Err(VoteRefusal::Unwanted),
        [6] => Err(VoteRefusal::Malformed),
        [7] => Err(VoteRefusal::Late),
        _ => Err(VoteRefusal::Other),
    }
}

/// A bounded label.
pub(super) fn label(answer: &VoteAnswer) -> &'static str {
    match answer {
        Ok(VoteReceipt::Accepted) => "accepted",
        Ok(VoteReceipt::Duplicate) => "duplicate",
        Err(VoteRefusal::NotAuthenticated) => "not_authenticated",
        Err(VoteRefusal::RateLimited) => "rate_limited",
        Err(VoteRefusal::Busy) => "busy",
        Err(VoteRefusal::Unwanted) => "unwanted",
        Err(VoteRefusal::Malformed) => "malformed",
        Err(VoteRefusal::Late) => "late",
        Err(VoteRefusal::Other) => "other",
    }
}

/// An answer on its way back to the service task.
#[derive(Debug)]
pub(super) struct Answered {
    pub channel: ResponseChannel<Vec<u8>>,
    pub answer: VoteAnswer,
}

/// How a vote is answered. Answer soon (the sender waits); dropping it answers busy.
#[derive(Debug)]
pub struct VoteReply(Option<Way>);

#[derive(Debug)]
enum Way {
    /// The permit was taken when the vote arrived, so the answer always has its place.
    Network(mpsc::OwnedPermit<Answered>, ResponseChannel<Vec<u8>>),
    Detached(oneshot::Sender<VoteAnswer>),
}

impl VoteReply {
    pub(super) fn new(permit: mpsc::OwnedPermit<Answered>, channel: ResponseChannel<Vec<u8>>) -> Self {
        Self(Some(Way::Network(permit, channel)))
    }

    /// A reply that belongs to no connection, and where its answer arrives: for tests of what answers votes.
    #[must_use]
    pub fn detached() -> (Self, oneshot::Receiver<VoteAnswer>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(Way::Detached(sender))), receiver)
    }

    /// Answers.
    pub fn answer(mut self, answer: Result<VoteReceipt, VoteRefusal>) {
        self.send(answer);
    }

    /// The vote is in the queue.
    pub fn accept(self) {
        self.answer(Ok(VoteReceipt::Accepted));
    }

    /// The vote was there already.
    pub fn duplicate(self) {
        self.answer(Ok(VoteReceipt::Duplicate));
    }

    /// The vote is not taken.
    pub fn refuse(self, why: VoteRefusal) {
        self.answer(Err(why));
    }

    fn send(&mut self, answer: VoteAnswer) {
        match self.0.take() {
            Some(Way::Network(permit, channel)) => {
                permit.send(Answered { channel, answer });
            }
            Some(Way::Detached(sender)) => {
                // A test that no longer looks needs no answer.
                sender.send(answer).ok();
            }
            None => {}
        }
    }
}

impl Drop for VoteReply {
    fn drop(&mut self) {
        self.send(Err(VoteRefusal::Busy));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_survive_the_wire() {
        use VoteRefusal::*;
        let refusals = [NotAuthenticated, RateLimited, Busy, Unwanted, Malformed, Late, Other].map(Err);
        for answer in refusals.into_iter().chain([Ok(VoteReceipt::Accepted), Ok(VoteReceipt::Duplicate)]) {
            assert_eq!(decode(&encode(answer)), answer);
        }
        assert_eq!(decode(&[]), Err(Other));
    }

    #[test]
    fn a_forgotten_vote_is_answered_busy() {
        let (reply, mut answer) = VoteReply::detached();
        drop(reply);
        assert_eq!(answer.try_recv().unwrap(), Err(VoteRefusal::Busy));
        let (reply, mut answer) = VoteReply::detached();
        reply.accept();
        assert_eq!(answer.try_recv().unwrap(), Ok(VoteReceipt::Accepted));
    }
}
