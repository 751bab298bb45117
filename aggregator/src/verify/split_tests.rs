//! Disputed batches from the first vote to the last certificate: real votes through screening and verification, attesters
//! that answer what they are asked as an honest operator does, and some that do not.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;

use ditto_core::admission::AcceptedSets;
use ditto_core::bls::SignatureSum;
use ditto_core::clock::Clock;
use ditto_core::p2p::{Acceptance, MessageToken, PeerId, PublishError, SendError, Topic, VoteReceipt};
use ditto_core::quorum::{QuorumRule, TaskRule};
use ditto_core::stage::{Pipeline, StageConfig};
use ditto_core::wire::{Split, Vote};
use futures::future::BoxFuture;
use proptest::prelude::*;

use super::*;
use crate::ask::signed;
use crate::collect::{Came, Screening, Unwanted};
use crate::config::{CollectionConfig, EvidenceConfig};
use crate::testing::*;

struct Noon;

impl Clock for Noon {
    fn now_ms(&self) -> u64 {
        now_ms()
    }
}

struct Nowhere;

impl Transport for Nowhere {
    fn publish(&self, _: Topic, _: Vec<u8>) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async { Ok(()) })
    }
    fn send_vote(&self, _: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>> {
        Box::pin(async { Ok(VoteReceipt::Accepted) })
    }
    fn send_vote_to(&self, _: [u8; 20], _: Vec<u8>) -> BoxFuture<'_, Result<VoteReceipt, SendError>> {
        Box::pin(async { Ok(VoteReceipt::Accepted) })
    }
    fn report(&self, _: MessageToken, _: Acceptance) {}
    fn ban(&self, _: PeerId, _: Duration, _: &'static str) {}
}

/// How an attester behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    /// Says what it found, and the same again in parts when asked.
    Honest,
    /// Votes, and then never answers.
    Deserter,
    /// Votes, and answers with signatures of something else.
    Forger,
    /// Its first signature is bad already.
    Bad,
}

struct Room {
    batch: Arc<Batch>,
    set: Arc<OperatorSet>,
    screening: Screening,
    electorate: Arc<Electorate>,
    verify: Verify,
    said: Vec<(Nature, Vec<u8>)>,
    certificates: Vec<Verified>,
    questions: Vec<Question>,
    refused: Vec<Unwanted>,
    _state: tempfile::TempDir,
}

const RULE: TaskRule = TaskRule {
    task_definition: 1,
    quorum: QuorumRule { approve_numerator: 2, approve_denominator: 3, reject_numerator: 1, reject_denominator: 3 },
    minimum_power: 0,
    max_attesters: 0,
    minimum_attester_power: 0,
};

impl Room {
    fn new(powers: &[u128], said: Vec<(Nature, Vec<u8>)>) -> Self {
        Self::under(RULE, powers, said)
    }

    fn under(rule: TaskRule, powers: &[u128], said: Vec<(Nature, Vec<u8>)>) -> Self {
        let tasks = said[0].1.len() as u64;
        let (set, sets) = (operator_set(powers), AcceptedSets::new());
        sets.replace(vec![set.clone()]);
        let governance = Governance::new(sets.clone());
        governance.set_rule(Some(rule));
        let electorate = governance.electorate(1, SLOT).unwrap().1;
        // What is due is due at once, so that no test waits.
        let config = VerificationConfig { group_timer_ms: 0, split_after_ms: 0, ..VerificationConfig::default() };
        let (asked, bans, state) = (Asked::default(), Bans::new(config), tempfile::tempdir().unwrap());
        let mut pipeline = Pipeline::new("test", Duration::from_secs(1));
        let (aggregate, _) = pipeline.queue("aggregate", &StageConfig::waiting(1, 1));
        let (ask, _) = pipeline.queue("ask", &StageConfig::waiting(1, 1));
        let mut screening = Screening::new(CollectionConfig::default(), bans.clone(), asked.clone());
        let batch = batch(0, tasks);
        screening.open(batch.clone());
        let verify = Verify {
            gathering: Gathering::default(),
            governance,
            domain: domain(),
            config,
            bans,
            transport: Arc::new(Nowhere),
            clock: SlotClock::new(network().schedule(), Arc::new(Noon)),
            asked,
            evidence: Store::open(state.path(), EvidenceConfig::default()).unwrap(),
            aggregate,
            ask,
        };
        let (certificates, questions, refused) = (Vec::new(), Vec::new(), Vec::new());
        Self { batch, set, screening, electorate, verify, said, certificates, questions, refused, _state: state }
    }

    fn send(&mut self, attester: usize, vote: Vote) {
        // From bytes, as it comes.
        let vote = Vote::decode(&vote.encode().unwrap()).unwrap();
        let came = Came::Directly(controller(attester));
        let screened = self.screening.screen(vote, came, PeerId::random(), &self.verify.governance, now_ms());
        for suspicion in self.screening.suspicions() {
            self.take(Job::Suspicion(Box::new(suspicion)));
        }
        match screened {
            Ok(ballot) => self.take(Job::Ballot(Box::new(ballot))),
            Err(unwanted) => self.refused.push(unwanted),
        }
    }

    fn take(&mut self, job: Job) {
        match self.verify.process(job).1 {
            Some(Made::Certificate(verified)) => self.certificates.push(verified),
            Some(Made::Question(question)) => self.ask(question),
            None => {}
        }
    }

    /// Votes in this order, then lets every timer fire until nothing happens any more.
    fn run(&mut self, order: &[usize]) {
        for &attester in order {
            let (nature, bytes) = self.said[attester].clone();
            if VerdictVector::from_bytes(&bytes).unwrap().abstains_wholly() {
                continue;
            }
            let mut first = vote(&self.batch, attester, &bytes);
            if nature == Nature::Bad {
                first.signature = secret(attester).sign(&[9; 32], Purpose::Vote).to_bytes();
            }
            self.send(attester, first);
        }
        for _ in 0..64 {
            let due = self.verify.gathering.due(&self.verify.config, &self.verify.governance, now_ms());
            if due.is_empty() {
                return;
            }
            for due in due {
                self.take(match due {
                    Due::Group(ripe) => Job::Group(Box::new(ripe)),
                    Due::Batch(contested) => Job::Contested(Box::new(contested)),
                });
            }
        }
        panic!("it never comes to rest");
    }

    fn ask(&mut self, question: Question) {
        let submitter = signer(200);
        let bytes = signed(&domain(), &submitter, &question).unwrap().encode().unwrap();
        self.questions.push(question);
        let split = Split::decode(&bytes).unwrap();
        assert!(split.is_signed_by(&domain(), submitter.address()));
        for attester in 0..self.said.len() {
            let (nature, own) = self.said[attester].clone();
            for vector in &split.vectors {
                let asked = vector.bytes();
                let agrees = asked.iter().zip(&own).all(|(asked, own)| *asked == 255 || asked == own);
                let mut part = vote(&self.batch, attester, &asked);
                match nature {
                    Nature::Honest if agrees => {}
                    Nature::Forger | Nature::Bad => {
                        part.signature = secret(attester).sign(&[8; 32], Purpose::Vote).to_bytes();
                    }
                    _ => continue,
                }
                self.send(attester, part);
            }
        }
    }

    /// The verdicts that got a certificate, each of which is checked as the contract would.
    fn outcome(&self) -> Vec<u8> {
        let mut decided = vec![255; self.batch.hashes.len()];
        let mut parts = BTreeSet::new();
        for made in &self.certificates {
            assert!(parts.insert(made.part), "two certificates for one part");
            let mut sum = SignatureSum::default();
            for signer in &made.signers {
                sum.add(&made.signature, &self.set.members[*signer].key);
            }
            assert!(self.electorate.decides(&made.verdicts, self.electorate.weight_of(&made.signers)));
            assert!(made.signers.iter().all(|signer| self.electorate.weight(*signer) > 0));
            assert!(self.is_sound(made), "a certificate does not verify");
            for (place, byte) in made.verdicts.bytes().into_iter().enumerate().filter(|(_, byte)| *byte != 255) {
                assert_eq!(decided[place], 255, "a task in two certificates");
                decided[place] = byte;
            }
        }
        decided
    }

    /// Does the sum of exactly these signers' keys verify the certificate?
    fn is_sound(&self, made: &Verified) -> bool {
        let digest = self.batch.digest(&domain(), &made.verdicts);
        let raw = |bytes: &[u8; 96]| blst::min_sig::PublicKey::uncompress(bytes).unwrap();
        let keys: Vec<_> = made.signers.iter().map(|signer| raw(&self.set.members[*signer].key.to_bytes())).collect();
        let keys: Vec<_> = keys.iter().collect();
        let signature = blst::min_sig::Signature::deserialize(&made.signature.to_bytes()).unwrap();
        let outcome = signature.fast_aggregate_verify(true, &digest.0, Purpose::Vote.tag(), &keys);
        outcome == blst::BLST_ERROR::BLST_SUCCESS
    }

    /// Which verdicts have a quorum of their own among some attesters.
    fn own_quorums(&self, counts: impl Fn(Nature) -> bool) -> Vec<BTreeSet<u8>> {
        let tasks = self.batch.hashes.len();
        let power = |place: usize, byte: u8| -> u128 {
            let said = self.said.iter().enumerate();
            said.filter(|(_, (nature, bytes))| counts(*nature) && bytes[place] == byte)
                .map(|(member, _)| self.electorate.weight(member))
                .sum()
        };
        let decides =
            |place: usize, byte: &u8| *byte != 255 && self.electorate.suffices(*byte == 0, power(place, *byte));
        (0..tasks).map(|place| [0u8, 3, 4].into_iter().filter(|byte| decides(place, byte)).collect()).collect()
    }
}

#[test]
fn a_committee_decides_alone() {
    let rule = TaskRule { max_attesters: 4, ..RULE };
    let mut room = Room::under(rule, &[1; 9], honest(&[[0u8, 0].as_slice(); 9]));
    let seats = room.electorate.seats().unwrap().to_vec();
    room.run(&[0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!((room.outcome(), room.certificates.len()), (vec![0, 0], 1));
    let mut owners = seats.clone();
    owners.dedup();
    assert_eq!(room.refused, vec![Unwanted::NotInCommittee; 9 - owners.len()]);
    assert!(room.certificates[0].signers.iter().all(|signer| owners.contains(signer)));

    let minimum = TaskRule { minimum_attester_power: 2, ..RULE };
    let mut room = Room::under(minimum, &[1, 2, 2, 2, 1], honest(&[[0u8].as_slice(); 5]));
    room.run(&[0, 4, 1, 2, 3]);
    assert_eq!((room.outcome(), room.certificates[0].signers.clone()), (vec![0], vec![1, 2, 3]));
    assert_eq!(room.refused, [Unwanted::BelowMinimum; 2]);
}

#[test]
fn exactly_at_the_thirds_of_the_seats() {
    // Of six seats, each its owner's only one: four approve the first task, two reject the second, five agree on the third.
    let rule = TaskRule { max_attesters: 6, ..RULE };
    let said = [&[0u8, 3, 0] as &[u8], &[0, 3, 0], &[0, 255, 0], &[0, 255, 0], &[255, 0, 0], &[255, 255, 4]];
    let everybody = |seats: &[usize]| {
        let mut all = vec![&[3u8, 0, 3] as &[u8]; 12];
        seats.iter().zip(said).for_each(|(owner, words)| all[*owner] = words);
        Room::under(rule, &[1; 12], honest(&all))
    };
    let mut room = everybody(everybody(&[]).electorate.seats().unwrap());
    room.run(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(room.outcome(), [255, 3, 0], "not more than two thirds; a third; five of six");
    assert!(room.refused.iter().all(|why| *why == Unwanted::NotInCommittee));
}

fn honest(said: &[&[u8]]) -> Vec<(Nature, Vec<u8>)> {
    said.iter().map(|bytes| (Nature::Honest, bytes.to_vec())).collect()
}

#[test]
fn a_poisonous_task_costs_its_neighbours_one_round() {
    let asked = || ditto_core::telemetry::measured("ditto_aggregator_splits_total", &[]);
    let before = asked();
    // One operator each comes to another verdict on the third task.
    let mut room = Room::new(&[1; 4], honest(&[&[0, 0, 0, 0], &[0, 0, 3, 0], &[0, 0, 4, 0], &[0, 0, 255, 0]]));
    room.run(&[0, 1, 2, 3]);
    assert_eq!(room.outcome(), [0, 0, 255, 0]);
    assert_eq!((room.questions.len(), room.certificates.len()), (1, 1), "one more round, one certificate");
    assert_eq!(room.questions[0].vectors.len(), 1);
    assert!(asked() > before);
    assert_eq!(room.certificates[0].signers, [0, 1, 2, 3]);
}

#[test]
fn nobody_is_asked_when_a_vector_decides_or_nothing_can() {
    let mut room = Room::new(&[1; 4], honest(&[&[0, 3], &[0, 3], &[0, 3], &[3, 0]]));
    room.run(&[3, 0, 1, 2]);
    assert_eq!((room.outcome(), room.questions.len()), (vec![0, 3], 0));
    let mut split = Room::new(&[1; 4], honest(&[&[0], &[0], &[3], &[255]]));
    split.run(&[0, 1, 2, 3]);
    assert_eq!((split.outcome(), split.questions.len()), (vec![255], 0), "two of four approve, one of four rejects");
}

#[test]
fn one_liar_and_one_honest_abstainer_among_four() {
    for nature in [Nature::Deserter, Nature::Forger, Nature::Bad] {
        for lie in [[3, 3, 3], [0, 3, 0], [3, 0, 0], [0, 0, 0]] {
            // The third operator could not run the second task; the liar says what it likes and does what it likes.
            let mut said = honest(&[&[0, 0, 0], &[0, 0, 0], &[0, 255, 0]]);
            said.push((nature, lie.to_vec()));
            let mut room = Room::new(&[1; 4], said);
            room.run(&[3, 2, 1, 0]);
            let outcome = room.outcome();
            assert_eq!(
                (outcome[0], outcome[2]),
                (0, 0),
                "{nature:?} {lie:?}: the neighbours have three honest of four"
            );
            // The disputed one needs the liar, who may give or withhold its word, and cannot turn it.
            assert!(outcome[1] == 255 || (outcome[1] == 0 && lie[1] == 0), "{nature:?} {lie:?}");
            assert!(room.questions.len() <= 2);
        }
    }
}

#[test]
fn exactly_at_the_thirds_a_split_decides_like_the_rule() {
    // Six operators: four approve the first task, which is exactly two thirds; two reject the second, exactly one third.
    let mut room =
        Room::new(&[1; 6], honest(&[&[0, 3, 0], &[0, 3, 0], &[0, 255, 0], &[0, 255, 0], &[255, 0, 0], &[255, 255, 4]]));
    room.run(&[0, 1, 2, 3, 4, 5]);
    assert_eq!(room.outcome(), [255, 3, 0], "not more than two thirds; a third; five of six");
}

#[test]
fn a_word_that_was_turned_becomes_evidence() {
    let mut room = Room::new(&[1; 4], honest(&[&[0, 0], &[0, 3], &[0, 0], &[0, 255]]));
    room.run(&[0, 1, 2, 3]);
    let batch = room.batch.clone();
    room.send(1, vote(&batch, 1, &[3, 3]));
    assert_eq!(room.refused.last(), Some(&Unwanted::Equivocation));
    let listed = crate::evidence::list(room._state.path()).unwrap();
    let [one] = &listed[..] else { panic!("one record, not {}", listed.len()) };
    assert_eq!((one.evidence.as_ref().unwrap().operator, one.proven), (controller(1), Ok(())));
    let mut forged = vote(&batch, 2, &[4, 4]);
    forged.signature = [0; 96];
    forged.signature[95] = 2;
    room.send(2, forged);
    assert_eq!(crate::evidence::list(room._state.path()).unwrap().len(), 1, "what is not proven is no evidence");
}

fn words(attesters: usize, tasks: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let byte = prop_oneof![8 => Just(0u8), 1 => Just(3u8), 1 => Just(4u8), 1 => Just(255u8)];
    proptest::collection::vec(proptest::collection::vec(byte, tasks), attesters)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_honest_attesters_disagree_on_every_quorum_is_certified_after_one_question(
        (said, powers) in (3usize..8, 1usize..7).prop_flat_map(|(attesters, tasks)| {
            (words(attesters, tasks), proptest::collection::vec(1u128..4, attesters))
        }),
        seed: u64,
    ) {
        use rand::SeedableRng;
        use rand::seq::SliceRandom;
        let said = said.into_iter().map(|bytes| (Nature::Honest, bytes)).collect::<Vec<_>>();
        let mut order: Vec<usize> = (0..said.len()).collect();
        order.shuffle(&mut rand::rngs::StdRng::seed_from_u64(seed));
        let mut room = Room::new(&powers, said);
        room.run(&order);
        let outcome = room.outcome();
        for (place, own) in room.own_quorums(|_| true).into_iter().enumerate() {
            if own.is_empty() {
                prop_assert_eq!(outcome[place], 255, "task {} has no quorum (seed {})", place, seed);
            } else {
                prop_assert!(own.contains(&outcome[place]), "task {} has a quorum for {:?} and got {} (seed {})", place, own, outcome[place], seed);
            }
        }
        prop_assert!(room.questions.len() <= 1, "{} questions (seed {})", room.questions.len(), seed);
    }

    #[test]
    fn a_committee_of_honest_attesters_certifies_every_quorum_of_seats(
        (said, powers) in (3usize..9, 1usize..5).prop_flat_map(|(attesters, tasks)| {
            (words(attesters, tasks), proptest::collection::vec(1u128..6, attesters))
        }),
        max_attesters in 1u16..8,
        seed: u64,
    ) {
        use rand::SeedableRng;
        use rand::seq::SliceRandom;
        let said = said.into_iter().map(|bytes| (Nature::Honest, bytes)).collect::<Vec<_>>();
        let mut order: Vec<usize> = (0..said.len()).collect();
        order.shuffle(&mut rand::rngs::StdRng::seed_from_u64(seed));
        let mut room = Room::under(TaskRule { max_attesters, ..RULE }, &powers, said);
        room.run(&order);
        let outcome = room.outcome();
        for (place, own) in room.own_quorums(|_| true).into_iter().enumerate() {
            prop_assert_eq!(own.is_empty(), outcome[place] == 255, "task {} (seed {})", place, seed);
            prop_assert!(own.is_empty() || own.contains(&outcome[place]), "task {} (seed {})", place, seed);
        }
        prop_assert!(room.questions.len() <= 1, "{} questions (seed {})", room.questions.len(), seed);
    }

    #[test]
    fn liars_below_a_third_withhold_nothing_from_an_honest_quorum(
        (said, liars) in (4usize..8, 1usize..6).prop_flat_map(|(attesters, tasks)| {
            let nature = prop_oneof![Just(Nature::Deserter), Just(Nature::Forger), Just(Nature::Bad)];
            (words(attesters, tasks), proptest::collection::vec(nature, (attesters - 1) / 3))
        }),
        seed: u64,
    ) {
        use rand::SeedableRng;
        use rand::seq::SliceRandom;
        let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
        let mut said: Vec<_> = said.into_iter().map(|bytes| (Nature::Honest, bytes)).collect();
        for (at, nature) in liars.into_iter().enumerate() {
            said[at].0 = nature;
        }
        let mut order: Vec<usize> = (0..said.len()).collect();
        order.shuffle(&mut rng);
        let mut room = Room::new(&vec![1; said.len()], said);
        room.run(&order);
        let outcome = room.outcome();
        for (place, own) in room.own_quorums(|nature| nature == Nature::Honest).into_iter().enumerate() {
            if let Some(sure) = own.iter().find(|byte| **byte == 0) {
                prop_assert_eq!(outcome[place], *sure, "task {} (seed {})", place, seed);
            } else if !own.is_empty() {
                prop_assert!(outcome[place] != 255, "task {} has an honest quorum for {:?} (seed {})", place, own, seed);
            }
        }
    }
}
