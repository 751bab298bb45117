//! Finding a certificate among votes of which some may be bad: pure, but for the checks it asks for.
//!
//! First the votes to submit are chosen, then exactly their sum is checked: two colluding votes can cancel each other's
//! errors in a larger sum, so nothing but the submitted sum counts. When it fails, bisection finds the bad votes in it:
//! every vote gets a random weight, so that errors that cancel each other in the plain sum do not cancel in the halves
//! (but for one case in 2^16, which costs nobody anything: the pair stays unnamed until the next time). Each is checked
//! alone before it is blamed. Culprits are replaced by what else stands in their name, or left out, and the choice is made
//! anew. Every culprit costs at most two checks on each level of the tree: k bad votes among n cost O(k log n) checks.

use std::collections::{BTreeMap, BTreeSet};

use ditto_core::bls::{Purpose, Scheme};
use ditto_core::committee::Electorate;
use ditto_core::operators::OperatorSet;
use rand::Rng;

use crate::choice::cheapest;

/// The votes that stand for each member, in the order in which they are tried: a direct one before gossiped ones.
pub type Candidates<S, Tag> = BTreeMap<usize, Vec<(<S as Scheme>::Signature, Tag)>>;

/// What came of looking for a certificate.
#[derive(Debug)]
pub struct Found<S: Scheme, Tag> {
    /// The members to submit and their sum; `None` when the sound votes do not suffice.
    pub certificate: Option<(Vec<usize>, S::Signature)>,
    /// The votes that were checked alone and are bad.
    pub culprits: Vec<(usize, Tag)>,
    /// How many checks (of two pairings each) it took.
    pub checks: u64,
}

/// Looks for a certificate. Culprits are taken out of `candidates`.
pub fn certificate<S: Scheme<Key = ditto_core::bls::PublicKey>, Tag>(
    set: &OperatorSet,
    electorate: &Electorate,
    candidates: &mut Candidates<S, Tag>,
    digest: &[u8; 32],
    suffices: impl Fn(u128) -> bool,
    margin: usize,
    rng: &mut impl Rng,
) -> Found<S, Tag> {
    let mut found = Found { certificate: None, culprits: Vec::new(), checks: 0 };
    let mut checker = Checker::<S>::new(digest);
    loop {
        let available: BTreeSet<usize> = candidates.keys().copied().collect();
        let Some(chosen) = cheapest(electorate, &available, &suffices, margin) else { break };
        let sum = checker.plain(set, &held(set, candidates, &chosen));
        if let Some(sum) = sum {
            found.certificate = Some((chosen, sum));
            break;
        }
        if !cull(set, candidates, &chosen, &mut checker, &mut found.culprits, rng) {
            break;
        }
    }
    found.checks = checker.checks;
    found
}

/// Takes bad votes out of `candidates` until the sum of every member's first vote is sound: what is left may be counted
/// on, though it may never be submitted as it is.
pub fn sift<S: Scheme<Key = ditto_core::bls::PublicKey>, Tag>(
    set: &OperatorSet,
    candidates: &mut Candidates<S, Tag>,
    digest: &[u8; 32],
    rng: &mut impl Rng,
) -> Found<S, Tag> {
    let mut found = Found { certificate: None, culprits: Vec::new(), checks: 0 };
    let mut checker = Checker::<S>::new(digest);
    while !candidates.is_empty() {
        let all: Vec<usize> = candidates.keys().copied().collect();
        if let Some(sum) = checker.plain(set, &held(set, candidates, &all)) {
            found.certificate = Some((all, sum));
            break;
        }
        if !cull(set, candidates, &all, &mut checker, &mut found.culprits, rng) {
            break;
        }
    }
    found.checks = checker.checks;
    found
}

/// Takes the bad votes of a sum that failed out of `candidates`. `false`: there is none, each vote is sound and the sum is
/// not; only a sum that is infinity does that, and nobody is to blame.
fn cull<S: Scheme<Key = ditto_core::bls::PublicKey>, Tag>(
    set: &OperatorSet,
    candidates: &mut Candidates<S, Tag>,
    chosen: &[usize],
    checker: &mut Checker<'_, S>,
    culprits: &mut Vec<(usize, Tag)>,
    rng: &mut impl Rng,
) -> bool {
    let votes = held(set, candidates, chosen);
    let mut guilty = Vec::new();
    checker.blame(&votes, &mut guilty, || weight(rng));
    if guilty.is_empty() {
        // The weights hid what the plain sum shows.
        checker.blame(&votes, &mut guilty, || 1);
    }
    let any = !guilty.is_empty();
    for index in guilty {
        if let Some(held) = candidates.get_mut(&index) {
            let (_, tag) = held.remove(0);
            culprits.push((index, tag));
            if held.is_empty() {
                candidates.remove(&index);
            }
        }
    }
    any
}

/// A weight that no small torsion divides: the cofactor of G1 is 3 · 11² · 10177² · 859267² · 52437899², and a vote outside
/// the subgroup must not be healed by its weight.
fn weight(rng: &mut impl Rng) -> u16 {
    loop {
        let weight = rng.random_range(1..=u16::MAX);
        if [3, 11, 10_177].iter().all(|factor| !weight.is_multiple_of(*factor)) {
            return weight;
        }
    }
}

fn held<'a, S: Scheme<Key = ditto_core::bls::PublicKey>, Tag>(
    set: &'a OperatorSet,
    candidates: &'a Candidates<S, Tag>,
    chosen: &[usize],
) -> Vec<Held<'a, S>> {
    chosen
        .iter()
        .filter_map(|&index| {
            let (signature, _) = candidates.get(&index)?.first()?;
            Some(Held { index, signature, key: &set.members.get(index)?.key })
        })
        .collect()
}

struct Held<'a, S: Scheme> {
    index: usize,
    signature: &'a S::Signature,
    key: &'a S::Key,
}

/// Weighted sums of ever fewer votes.
enum Tree<S: Scheme> {
    Leaf(usize),
    Fork { sums: [S::Sum; 2], halves: Box<[Tree<S>; 2]> },
}

struct Checker<'a, S: Scheme> {
    digest: &'a [u8; 32],
    message: S::Message,
    checks: u64,
}

impl<'a, S: Scheme> Checker<'a, S> {
    fn new(digest: &'a [u8; 32]) -> Self {
        Self { digest, message: S::message(digest, Purpose::Vote), checks: 0 }
    }

    /// Checks exactly the sum of these votes, in ascending order of their members.
    fn plain(&mut self, set: &OperatorSet, votes: &[Held<'_, S>]) -> Option<S::Signature> {
        let signers: Vec<usize> = votes.iter().map(|vote| vote.index).collect();
        let sum = S::summed(votes.iter().map(|vote| vote.signature), &set.key_sum(&signers));
        self.checks += 1;
        S::verified(&sum, &self.message)
    }

    fn holds(&mut self, sum: &S::Sum) -> bool {
        self.checks += 1;
        S::verified(sum, &self.message).is_some()
    }

    fn alone(&mut self, vote: &Held<'_, S>) -> bool {
        self.checks += 1;
        S::verify(vote.signature, vote.key, self.digest, Purpose::Vote)
    }

    /// Finds bad votes in a group whose sum is known to fail.
    fn blame(&mut self, votes: &[Held<'_, S>], guilty: &mut Vec<usize>, mut weight: impl FnMut() -> u16) {
        if votes.is_empty() {
            return;
        }
        let leaves: Vec<S::Sum> = votes.iter().map(|vote| S::weighted(vote.signature, vote.key, weight())).collect();
        let (tree, _) = plant::<S>(&leaves, 0);
        self.search(votes, &tree, guilty);
    }

    /// Finds bad votes below a node that is known to fail.
    fn search(&mut self, votes: &[Held<'_, S>], node: &Tree<S>, guilty: &mut Vec<usize>) {
        match node {
            Tree::Leaf(at) => {
                // Only what was checked alone is blamed, however it was found.
                if !self.alone(&votes[*at]) {
                    guilty.push(votes[*at].index);
                }
            }
            Tree::Fork { sums, halves } => {
                let before = guilty.len();
                // Single votes are checked where the search ends, and there only.
                if matches!(halves[0], Tree::Leaf(_)) || !self.holds(&sums[0]) {
                    self.search(votes, &halves[0], guilty);
                }
                // A sound left half means that the right one fails, since the whole does.
                let left_sound = guilty.len() == before;
                if matches!(halves[1], Tree::Leaf(_)) || left_sound || !self.holds(&sums[1]) {
                    self.search(votes, &halves[1], guilty);
                }
            }
        }
    }
}

/// The tree over these leaves, which are not none, and its sum.
fn plant<S: Scheme>(leaves: &[S::Sum], first: usize) -> (Tree<S>, S::Sum) {
    if let [leaf] = leaves {
        return (Tree::Leaf(first), leaf.clone());
    }
    let half = leaves.len() / 2;
    let (left, left_sum) = plant::<S>(&leaves[..half], first);
    let (right, right_sum) = plant::<S>(&leaves[half..], first + half);
    let sum = S::join(&left_sum, &right_sum);
    (Tree::Fork { sums: [left_sum, right_sum], halves: Box::new([left, right]) }, sum)
}

#[cfg(test)]
#[path = "blame_tests.rs"]
mod tests;
