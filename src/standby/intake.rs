//! What reaches the aggregator's pipeline in an operator: batches of which votes are about, and those votes.
//!
//! A batch is handed on when somebody else's vote on it has come, by gossip or directly, for that means that the aggregator
//! is gone or silent; until then an operator that stands by writes nothing and asks no node. It must be one that this
//! operator judged and voted on, so who proposed it and when was checked, and how many are kept is bounded by what the
//! judge takes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ditto_core::p2p::{Event, MessageToken, PeerId, Role, Topic, VoteRefusal, VoteReply};
use ditto_core::proposal::BatchId;
use ditto_core::stage::Deadline;
use ditto_core::wire::{Vote, encode_batch};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::attest::Ballot;

/// What may wait to be looked at.
const WAITING: usize = 1_024;
/// Batches kept; a slot has a handful.
const KEPT: usize = 256;
/// Names of batches that others voted on before this operator did.
const WANTED: usize = 1_024;

/// What is heard.
#[derive(Debug)]
pub enum Heard {
    /// This operator voted. Worth knowing until then.
    Own(Arc<Ballot>, Deadline),
    /// Somebody's vote was gossiped: its batch, its bytes, and who passed it on.
    Gossiped(BatchId, Vec<u8>, PeerId, Role),
    /// An operator sent its vote.
    Direct {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Its sender.
        from: PeerId,
        /// Who that is.
        role: Role,
        /// How to answer.
        reply: VoteReply,
    },
}

/// Where it is told. Clones tell the same; an operator that does not stand by has one that tells nobody.
#[derive(Clone, Debug)]
pub struct Feed(Option<mpsc::Sender<Heard>>);

impl Feed {
    /// A feed, and where it arrives.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Heard>) {
        let (sender, heard) = mpsc::channel(WAITING);
        (Self(Some(sender)), heard)
    }

    /// One that tells nobody.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// This operator voted.
    pub fn own(&self, ballot: &Arc<Ballot>, until: Deadline) {
        self.tell("own_vote", || Heard::Own(ballot.clone(), until));
    }

    /// A vote was gossiped.
    pub fn gossiped(&self, batch: BatchId, bytes: Vec<u8>, from: PeerId, role: Role) {
        self.tell("gossiped_vote", || Heard::Gossiped(batch, bytes, from, role));
    }

    /// A vote was sent here. Refused when nobody stands by; when too many wait, the sender is told that we are busy.
    pub fn direct(&self, bytes: Vec<u8>, from: PeerId, role: Role, reply: VoteReply) {
        if self.0.is_none() {
            return reply.refuse(VoteRefusal::Unwanted);
        }
        self.tell("direct_vote", || Heard::Direct { bytes, from, role, reply });
    }

    fn tell(&self, what: &'static str, heard: impl FnOnce() -> Heard) {
        if let Some(sender) = &self.0
            && sender.try_send(heard()).is_err()
        {
            metrics::counter!("ditto_operator_standby_dropped_total", "what" => what).increment(1);
        }
    }
}

/// Brings what is heard to `events`, until `stop`.
pub(super) async fn run(
    mut heard: mpsc::Receiver<Heard>,
    events: mpsc::Sender<Event>,
    own: PeerId,
    stop: CancellationToken,
) {
    let mut intake = Intake::new(own);
    loop {
        let next = tokio::select! {
            () = stop.cancelled() => return,
            next = heard.recv() => next,
        };
        // Without anybody to tell anything, there is nothing to do and nothing wrong.
        let Some(next) = next else { return };
        for event in intake.hear(next) {
            tokio::select! {
                () = stop.cancelled() => return,
                sent = events.send(event) => if sent.is_err() { return },
            }
        }
    }
}

/// A batch that this operator voted on.
struct Known {
    /// Its first vote, which holds the batch, and its votes on parts of it.
    votes: Vec<Arc<Ballot>>,
    until: Deadline,
    handed_on: bool,
}

/// The state.
struct Intake {
    own: PeerId,
    known: HashMap<BatchId, Known>,
    wanted: HashSet<BatchId>,
}

impl Intake {
    fn new(own: PeerId) -> Self {
        Self { own, known: HashMap::new(), wanted: HashSet::new() }
    }

    fn hear(&mut self, heard: Heard) -> Vec<Event> {
        match heard {
            Heard::Own(ballot, until) => self.voted(ballot, until),
            Heard::Gossiped(batch, bytes, from, role) => {
                let mut events = self.wanted(batch);
                let token = MessageToken::detached();
                events.push(Event::Gossip { topic: Topic::Votes, bytes, from, role, token });
                events
            }
            Heard::Direct { bytes, from, role, reply } => {
                let Ok(vote) = Vote::decode(&bytes) else {
                    reply.refuse(VoteRefusal::Malformed);
                    return Vec::new();
                };
                let mut events = self.wanted(vote.batch);
                events.push(Event::Vote { bytes, from, role, reply });
                events
            }
        }
    }

    fn voted(&mut self, ballot: Arc<Ballot>, until: Deadline) -> Vec<Event> {
        self.known.retain(|_, known| !known.until.expired());
        let id = ballot.id;
        if let Some(known) = self.known.get_mut(&id) {
            let events =
                if known.handed_on { vec![gossip(Topic::Votes, ballot.bytes.clone(), self.own)] } else { vec![] };
            if !known.handed_on {
                known.votes.push(ballot);
            }
            return events;
        }
        if self.known.len() >= KEPT {
            metrics::counter!("ditto_operator_standby_dropped_total", "what" => "batch").increment(1);
            return Vec::new();
        }
        self.known.insert(id, Known { votes: vec![ballot], until, handed_on: false });
        if self.wanted.remove(&id) { self.wanted(id) } else { Vec::new() }
    }

    /// A batch that somebody else voted on: the batch and our own votes, if they have not been handed on yet.
    fn wanted(&mut self, id: BatchId) -> Vec<Event> {
        let Some(known) = self.known.get_mut(&id) else {
            // The vote waits where the pipeline keeps such; the batch follows when we have judged it.
            if self.wanted.len() >= WANTED {
                self.wanted.clear();
            }
            self.wanted.insert(id);
            return Vec::new();
        };
        if std::mem::replace(&mut known.handed_on, true) {
            return Vec::new();
        }
        let Some(batch) = known.votes.first().and_then(|vote| encode_batch(&vote.batch).ok()) else {
            return Vec::new();
        };
        let votes = known.votes.iter().map(|vote| gossip(Topic::Votes, vote.bytes.clone(), self.own));
        std::iter::once(gossip(Topic::Proposals, batch, self.own)).chain(votes).collect()
    }
}

/// What is our own, as the pipeline takes it.
fn gossip(topic: Topic, bytes: Vec<u8>, from: PeerId) -> Event {
    // Whose it is stands in the bytes; who passed it on is this node.
    Event::Gossip { topic, bytes, from, role: Role::Operator([0; 20]), token: MessageToken::detached() }
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
