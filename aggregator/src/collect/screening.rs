//! The cheap checks of votes, before any curve work: pure state, no I/O.
//!
//! A vote that comes directly is its sender's, proven by the connection; the first one counts. A gossiped vote names an
//! author and does not prove it, so one attester may stand in several gossiped votes (a few), and the attester's own
//! direct vote always gets through: nobody can be silenced by a forger who is faster.
//!
//! A second vote of an attester on a batch counts when it is one that the aggregator asked for: the same verdicts, in
//! parts. One that contradicts the first, on this batch or on another with the same occurrence, is suspicious: it is handed
//! on to be checked, for two sound signatures are evidence.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use alloy::primitives::Address;
use ditto_core::bls::Signature;
use ditto_core::clock::Slot;
use ditto_core::committee::Standing;
use ditto_core::p2p::{PeerId, VoteRefusal};
use ditto_core::proposal::BatchId;
use ditto_core::verdict::VerdictVector;
use ditto_core::wire::Vote;

use super::asked::Asked;
use super::conflict::{Said, Suspicion, Twins, contradict};
use crate::bans::Bans;
use crate::batch::Batch;
use crate::config::CollectionConfig;
use crate::governance::Governance;

/// A vote that passed, with its batch.
#[derive(Clone, Debug)]
pub struct Ballot {
    /// What it is about.
    pub batch: Arc<Batch>,
    /// Whose it claims to be: index in the batch's set.
    pub attester: usize,
    /// What it says.
    pub verdicts: VerdictVector,
    /// The signature, not yet verified.
    pub signature: Signature,
    /// Who sent it directly; `None` when it was gossiped, and proves nothing about its author.
    pub sender: Option<PeerId>,
}

/// How a vote came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Straight from the operator with this address.
    Directly(Address),
    /// By gossip.
    ByGossip,
}

/// Why a vote is not taken, or not yet. The label counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwanted {
    /// Kept for a batch that may still come.
    Parked,
    /// For a batch that nobody proposed here.
    UnknownBatch,
    /// Under another set than the batch's, or one that is not accepted; or no rule says who counts.
    WrongSet,
    /// Not a member of the set, or one without power.
    Stranger,
    /// A member with less power than the task definition asks of an attester.
    BelowMinimum,
    /// A member without a seat in the slot's committee.
    NotInCommittee,
    /// Sent by somebody else than the attester it names.
    Impostor,
    /// The attester is kept out.
    Banned,
    /// Not one verdict per task.
    WrongLength,
    /// Says nothing.
    Abstains,
    /// Heard already.
    Duplicate,
    /// The attester contradicts what it said before.
    Equivocation,
    /// The attester voted already, and this part of its vote was not asked for.
    Unasked,
    /// The signature is no point.
    NoPoint,
}

impl Unwanted {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Parked,
        Self::UnknownBatch,
        Self::WrongSet,
        Self::Stranger,
        Self::BelowMinimum,
        Self::NotInCommittee,
        Self::Impostor,
        Self::Banned,
        Self::WrongLength,
        Self::Abstains,
        Self::Duplicate,
        Self::Equivocation,
        Self::Unasked,
        Self::NoPoint,
    ];

    /// The metric's label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::UnknownBatch => "unknown_batch",
            Self::WrongSet => "wrong_set",
            Self::Stranger => "stranger",
            Self::BelowMinimum => "below_minimum",
            Self::NotInCommittee => "not_in_committee",
            Self::Impostor => "impostor",
            Self::Banned => "banned",
            Self::WrongLength => "wrong_length",
            Self::Abstains => "abstains",
            Self::Duplicate => "duplicate",
            Self::Equivocation => "equivocation",
            Self::Unasked => "unasked",
            Self::NoPoint => "no_point",
        }
    }

    /// What a direct sender is told; `None`: that its vote was taken.
    #[must_use]
    pub fn refusal(self) -> Option<VoteRefusal> {
        match self {
            Self::Parked | Self::Duplicate => None,
            Self::UnknownBatch
            | Self::WrongSet
            | Self::Stranger
            | Self::BelowMinimum
            | Self::NotInCommittee
            | Self::Impostor
            | Self::Banned
            | Self::Unasked => Some(VoteRefusal::Unwanted),
            Self::WrongLength | Self::Abstains | Self::Equivocation | Self::NoPoint => Some(VoteRefusal::Malformed),
        }
    }
}

struct Known {
    batch: Arc<Batch>,
    heard: HashMap<usize, Heard>,
}

/// What was heard in an attester's name on one batch: directly at most one vote, and one for each part that was asked
/// for; by gossip at most a few of each.
#[derive(Default)]
struct Heard {
    direct: Vec<(VerdictVector, [u8; 96])>,
    gossiped: Vec<Gossiped>,
    /// It contradicted itself, which was handed on; once is enough.
    contradicted_itself: bool,
    /// The same of what was gossiped in its name.
    suspected: bool,
}

struct Gossiped {
    verdicts: VerdictVector,
    signature: [u8; 96],
    asked: bool,
}

/// Contradictions handed on between two sweeps: a check costs two pairings, and gossip can be forged.
const SUSPICIONS: usize = 16;

struct Parked {
    vote: Vote,
    came: Came,
    sender: PeerId,
    until_ms: u64,
}

/// The batches that votes are taken for, and what was heard about each.
pub struct Screening {
    config: CollectionConfig,
    bans: Bans,
    asked: Asked,
    known: HashMap<BatchId, Known>,
    twins: Twins,
    suspicions: Vec<Suspicion>,
    suspicions_left: usize,
    /// In order of arrival, which is the order of their ends.
    parked: VecDeque<Parked>,
    parked_by: HashMap<PeerId, usize>,
}

/// A vote and how it came: what leaves the park when its batch comes.
pub struct Waiting {
    /// The vote.
    pub vote: Vote,
    /// How it came.
    pub came: Came,
    /// Who handed it over.
    pub sender: PeerId,
}

/// Why a checked batch is still not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// It is known.
    Known,
    /// The performer proposed something else for this slot, and did so before.
    Equivocation,
    /// Too many batches are open.
    Full,
}

impl Screening {
    /// Nothing known.
    #[must_use]
    pub fn new(config: CollectionConfig, bans: Bans, asked: Asked) -> Self {
        Self {
            config,
            bans,
            asked,
            known: HashMap::new(),
            twins: Twins::default(),
            suspicions: Vec::new(),
            suspicions_left: SUSPICIONS,
            parked: VecDeque::new(),
            parked_by: HashMap::new(),
        }
    }

    /// Contradicting votes that are to be checked.
    pub fn suspicions(&mut self) -> Vec<Suspicion> {
        std::mem::take(&mut self.suspicions)
    }

    /// Another proposal of the same performer for the same slot, if one is known.
    #[must_use]
    pub fn other_proposal(&self, batch: &Batch) -> Option<Arc<Batch>> {
        let (slot, performer) = (batch.slot(), batch.proposed.proposal.performer);
        let known = self.known.values().map(|known| &known.batch);
        known
            .filter(|other| other.slot() == slot && other.proposed.proposal.performer == performer)
            .find(|other| other.id.proposal != batch.id.proposal)
            .cloned()
    }

    /// Whether there is room for this batch.
    ///
    /// # Errors
    /// Why not.
    pub fn room_for(&self, id: BatchId, performer: Address, slot: Slot) -> Result<(), NoRoom> {
        if self.known.contains_key(&id) {
            return Err(NoRoom::Known);
        }
        let mut others: Vec<_> = self
            .known
            .values()
            .filter(|known| known.batch.slot() == slot && known.batch.proposed.proposal.performer == performer)
            .map(|known| known.batch.id.proposal)
            .filter(|proposal| *proposal != id.proposal)
            .collect();
        others.sort_unstable();
        others.dedup();
        if others.len() >= self.config.max_proposals_per_performer {
            return Err(NoRoom::Equivocation);
        }
        if self.known.len() >= self.config.max_batches {
            return Err(NoRoom::Full);
        }
        Ok(())
    }

    /// Takes votes for this batch from now on, and gives those that waited for it.
    pub fn open(&mut self, batch: Arc<Batch>) -> Vec<Waiting> {
        let id = batch.id;
        if !self.known.contains_key(&id) {
            self.twins.open(&batch);
            self.known.insert(id, Known { batch, heard: HashMap::new() });
        }
        let mut waiting = Vec::new();
        for parked in std::mem::take(&mut self.parked) {
            if parked.vote.batch == id {
                self.unpark(parked.sender);
                waiting.push(Waiting { vote: parked.vote, came: parked.came, sender: parked.sender });
            } else {
                self.parked.push_back(parked);
            }
        }
        waiting
    }

    /// Screens a vote.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn screen(
        &mut self,
        vote: Vote,
        came: Came,
        sender: PeerId,
        governance: &Governance,
        now_ms: u64,
    ) -> Result<Ballot, Unwanted> {
        // Nothing of the vote needs its batch before this line except its author, whom a stranger cannot name.
        let Some(known) = self.known.get(&vote.batch) else { return Err(self.park(vote, came, sender, now_ms)) };
        if vote.set_id != known.batch.set_id() {
            return Err(Unwanted::WrongSet);
        }
        let (set, electorate) = governance.electorate(vote.set_id, known.batch.slot()).ok_or(Unwanted::WrongSet)?;
        let attester = usize::try_from(vote.attester).map_err(|_| Unwanted::Stranger)?;
        let member = set.members.get(attester).ok_or(Unwanted::Stranger)?;
        match electorate.standing(attester) {
            Standing::Attests => {}
            Standing::Powerless => return Err(Unwanted::Stranger),
            Standing::BelowMinimum => return Err(Unwanted::BelowMinimum),
            Standing::Unseated => return Err(Unwanted::NotInCommittee),
        }
        if let Came::Directly(operator) = came
            && operator != member.controller
        {
            return Err(Unwanted::Impostor);
        }
        if self.bans.holds(member.controller, now_ms) {
            return Err(Unwanted::Banned);
        }
        if vote.verdicts.0.len() != known.batch.hashes.len() {
            return Err(Unwanted::WrongLength);
        }
        if vote.verdicts.abstains_wholly() {
            return Err(Unwanted::Abstains);
        }
        let direct = matches!(came, Came::Directly(_));
        let asked = self.asked.holds(vote.batch, &vote.verdicts);
        if let Some(heard) = known.heard.get(&attester) {
            heard.admits(&vote, direct, asked, usize::from(self.config.gossiped_votes_per_attester))?;
        }
        if self.contradicts(attester, &vote, direct) {
            return Err(Unwanted::Equivocation);
        }
        let signature = Signature::from_bytes(&vote.signature).ok_or(Unwanted::NoPoint)?;
        let known = self.known.get_mut(&vote.batch).ok_or(Unwanted::UnknownBatch)?;
        let batch = known.batch.clone();
        let heard = known.heard.entry(attester).or_default();
        if !heard.direct.is_empty() && !asked {
            return Err(if direct { Unwanted::Unasked } else { Unwanted::Duplicate });
        }
        if direct {
            heard.direct.push((vote.verdicts.clone(), vote.signature));
        } else {
            heard.gossiped.push(Gossiped { verdicts: vote.verdicts.clone(), signature: vote.signature, asked });
        }
        Ok(Ballot { batch, attester, verdicts: vote.verdicts, signature, sender: direct.then_some(sender) })
    }

    /// Does a vote contradict what the attester said itself, on this batch or on one with the same occurrences? That, and a
    /// contradiction to what was gossiped in its name, is handed on to be checked, once.
    fn contradicts(&mut self, attester: usize, vote: &Vote, direct: bool) -> bool {
        let Some(known) = self.known.get(&vote.batch) else { return false };
        // Nearly always: the attester's first word on a batch whose occurrences no other batch holds.
        if !known.heard.contains_key(&attester) && !self.twins.has(vote.batch) {
            return false;
        }
        let new = Said { batch: known.batch.clone(), verdicts: vote.verdicts.clone(), signature: vote.signature };
        let batches = std::iter::once(vote.batch).chain(self.twins.of(vote.batch));
        let others: Vec<&Known> = batches.filter_map(|id| self.known.get(&id)).collect();
        let heard = || others.iter().filter_map(|other| Some((&other.batch, other.heard.get(&attester)?)));
        let own = heard().flat_map(|(batch, heard)| heard.direct.iter().map(move |(v, s)| (batch, v, s)));
        let gossiped =
            heard().flat_map(|(batch, heard)| heard.gossiped.iter().map(move |g| (batch, &g.verdicts, &g.signature)));
        let against = |(batch, verdicts, signature): (&Arc<Batch>, &VerdictVector, &[u8; 96])| {
            let said = Said { batch: batch.clone(), verdicts: verdicts.clone(), signature: *signature };
            contradict(&said, &new).then_some(said)
        };
        let (own, gossiped) = (own.filter_map(against).next(), gossiped.filter_map(against).next());
        let refused = own.is_some();
        // Who sent both itself is known by name; gossip may be forged, and has to fit the budget.
        let proven = refused && direct;
        if let Some(first) = own.or(gossiped)
            && let Some(known) = self.known.get_mut(&vote.batch)
        {
            let heard = known.heard.entry(attester).or_default();
            let flag = if proven { &mut heard.contradicted_itself } else { &mut heard.suspected };
            if !*flag && (proven || self.suspicions_left > 0) {
                *flag = true;
                self.suspicions_left = self.suspicions_left.saturating_sub(usize::from(!proven));
                self.suspicions.push(Suspicion { attester, first, second: new });
            }
        }
        refused
    }

    fn park(&mut self, vote: Vote, came: Came, sender: PeerId, now_ms: u64) -> Unwanted {
        let of_peer = self.parked_by.get(&sender).copied().unwrap_or_default();
        if self.parked.len() >= self.config.parked_votes || of_peer >= self.config.parked_votes_per_peer {
            return Unwanted::UnknownBatch;
        }
        *self.parked_by.entry(sender).or_default() += 1;
        self.parked.push_back(Parked { vote, came, sender, until_ms: now_ms.saturating_add(self.config.park_ms) });
        Unwanted::Parked
    }

    fn unpark(&mut self, sender: PeerId) {
        if let Some(count) = self.parked_by.get_mut(&sender) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.parked_by.remove(&sender);
            }
        }
    }

    /// Forgets what is over; says how many parked votes never met their batch.
    pub fn forget(&mut self, now_ms: u64) -> u64 {
        self.suspicions_left = SUSPICIONS;
        self.known.retain(|_, known| known.batch.valid_until().saturating_mul(1000) > now_ms);
        self.twins.retain(|batch| self.known.contains_key(batch));
        self.asked.retain(|batch| self.known.contains_key(batch));
        let mut lost = 0;
        while self.parked.front().is_some_and(|parked| parked.until_ms <= now_ms) {
            let Some(parked) = self.parked.pop_front() else { break };
            self.unpark(parked.sender);
            lost += 1;
        }
        lost
    }
}

impl Heard {
    /// Is there room for such a vote, or was it heard?
    fn admits(&self, vote: &Vote, direct: bool, asked: bool, gossiped: usize) -> Result<(), Unwanted> {
        // What came directly is the attester's word; the same by gossip adds nothing.
        if self.direct.iter().any(|(verdicts, _)| *verdicts == vote.verdicts) {
            return Err(Unwanted::Duplicate);
        }
        if direct {
            return Ok(());
        }
        let of_its_kind = |known: &&Gossiped| known.asked == asked && (!asked || known.verdicts == vote.verdicts);
        let full = self.gossiped.iter().filter(of_its_kind).count() >= gossiped;
        let known = self.gossiped.iter().any(|known| known.signature == vote.signature);
        if known || full { Err(Unwanted::Duplicate) } else { Ok(()) }
    }
}

#[cfg(test)]
#[path = "screening_tests.rs"]
mod tests;
