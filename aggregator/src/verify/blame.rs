//! Finding a certificate among votes of which some may be bad: pure, but for the checks it asks for.
//!
//! First the votes to submit are chosen, then exactly their sum is checked: two colluding votes can cancel each other's
//! errors in a larger sum, so nothing but the submitted sum counts. When it fails, bisection finds members of it whose
//! vote is bad; each is checked alone before it is blamed. They are replaced by what else stands in their name, or left
//! out, and the choice is made anew. Every round finds a culprit or gives up, so k bad votes among n cost O(k log n) checks.

use std::collections::{BTreeMap, BTreeSet};

use ditto_core::bls::{Purpose, Scheme};
use ditto_core::operators::OperatorSet;

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
    candidates: &mut Candidates<S, Tag>,
    digest: &[u8; 32],
    suffices: impl Fn(u128) -> bool,
    margin: usize,
) -> Found<S, Tag> {
    let mut found = Found { certificate: None, culprits: Vec::new(), checks: 0 };
    loop {
        let available: BTreeSet<usize> = candidates.keys().copied().collect();
        let Some(chosen) = cheapest(set, &available, &suffices, margin) else { return found };
        let votes: Vec<Held<'_, S>> = chosen
            .iter()
            .filter_map(|&index| {
                let (signature, _) = candidates.get(&index)?.first()?;
                Some(Held { index, signature, key: &set.members.get(index)?.key })
            })
            .collect();
        let mut checker = Checker::<S> { digest, checks: 0, _scheme: std::marker::PhantomData };
        if let Some(sum) = checker.sum(&votes) {
            found.checks += checker.checks;
            found.certificate = Some((chosen, sum));
            return found;
        }
        let mut guilty = Vec::new();
        checker.bisect(&votes, &mut guilty);
        found.checks += checker.checks;
        if guilty.is_empty() {
            // Each part is sound and the whole is not: only a sum that is infinity does that. Nobody is to blame.
            return found;
        }
        for index in guilty {
            if let Some(held) = candidates.get_mut(&index) {
                let (_, tag) = held.remove(0);
                found.culprits.push((index, tag));
                if held.is_empty() {
                    candidates.remove(&index);
                }
            }
        }
    }
}

struct Held<'a, S: Scheme> {
    index: usize,
    signature: &'a S::Signature,
    key: &'a S::Key,
}

struct Checker<'a, S> {
    digest: &'a [u8; 32],
    checks: u64,
    _scheme: std::marker::PhantomData<S>,
}

impl<S: Scheme> Checker<'_, S> {
    fn sum(&mut self, votes: &[Held<'_, S>]) -> Option<S::Signature> {
        self.checks += 1;
        let mut sum = S::Sum::default();
        for vote in votes {
            S::add(&mut sum, vote.signature, vote.key);
        }
        S::verified(&sum, self.digest, Purpose::Vote)
    }

    /// Finds bad votes in a group whose sum is known to fail.
    fn bisect(&mut self, votes: &[Held<'_, S>], guilty: &mut Vec<usize>) {
        if let [vote] = votes {
            self.checks += 1;
            if !S::verify(vote.signature, vote.key, self.digest, Purpose::Vote) {
                guilty.push(vote.index);
            }
            return;
        }
        let (left, right) = votes.split_at(votes.len() / 2);
        if left.is_empty() {
            return;
        }
        // Single votes are checked where the recursion ends, and there only.
        let left_fails = left.len() == 1 || self.sum(left).is_none();
        let before = guilty.len();
        if left_fails {
            self.bisect(left, guilty);
        }
        // A sound left half means that the right one fails, since the whole does.
        let left_sound = guilty.len() == before;
        if right.len() == 1 || left_sound || self.sum(right).is_none() {
            self.bisect(right, guilty);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{operator_set, secret};
    use ditto_core::bls::{Bls12381, Signature, SignatureSum};
    use ditto_core::quorum::QuorumRule;
    use proptest::prelude::*;

    const DIGEST: [u8; 32] = [1; 32];

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Kind {
        Honest,
        /// A signature of something else.
        Bad,
        /// The two halves of a pair whose errors cancel: each carries the other's signature.
        Swapped,
        Silent,
    }

    fn votes(kinds: &[Kind]) -> Candidates<Bls12381, Kind> {
        let mut swapped: Vec<usize> = (0..kinds.len()).filter(|i| kinds[*i] == Kind::Swapped).collect();
        if swapped.len() % 2 == 1 {
            swapped.pop();
        }
        kinds
            .iter()
            .enumerate()
            .filter(|(_, kind)| **kind != Kind::Silent)
            .map(|(i, kind)| {
                let good = |i: usize| secret(i).sign(&DIGEST, Purpose::Vote);
                let signature = match kind {
                    Kind::Bad => secret(i).sign(&[2; 32], Purpose::Vote),
                    Kind::Swapped => swapped
                        .iter()
                        .position(|s| *s == i)
                        .map_or_else(|| secret(i).sign(&[3; 32], Purpose::Vote), |at| good(swapped[at ^ 1])),
                    Kind::Honest | Kind::Silent => good(i),
                };
                (i, vec![(signature, *kind)])
            })
            .collect()
    }

    fn sum_of(signers: &[usize], candidates: &Candidates<Bls12381, Kind>) -> Option<Signature> {
        let mut sum = SignatureSum::default();
        for signer in signers {
            sum.add(&candidates[signer][0].0, &secret(*signer).public());
        }
        sum.verified(&DIGEST, Purpose::Vote)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn honest_votes_that_suffice_are_certified_and_never_blamed(
            kinds in proptest::collection::vec(
                prop_oneof![5 => Just(Kind::Honest), 1 => Just(Kind::Bad), 1 => Just(Kind::Swapped), 1 => Just(Kind::Silent)],
                1..24,
            ),
            margin in 0usize..3,
        ) {
            let set = operator_set(&vec![1; kinds.len()]);
            let rule = QuorumRule::default();
            let suffices = |signed: u128| rule.approves(signed, set.total_power);
            let mut candidates = votes(&kinds);
            let all = candidates.clone();
            let found = certificate::<Bls12381, _>(&set, &mut candidates, &DIGEST, suffices, margin);

            let honest = kinds.iter().filter(|kind| **kind == Kind::Honest).count() as u128;
            for (_, kind) in &found.culprits {
                prop_assert_ne!(*kind, Kind::Honest, "an honest voter was blamed");
            }
            if suffices(honest) {
                prop_assert!(found.certificate.is_some(), "the honest votes suffice");
            }
            if let Some((signers, signature)) = &found.certificate {
                prop_assert!(suffices(signers.len() as u128));
                prop_assert_eq!(sum_of(signers, &all), Some(*signature), "what is submitted is sound as it is");
                prop_assert!(signers.iter().all(|signer| all[signer][0].1 != Kind::Bad));
            }
            let (n, k) = (kinds.len() as u64, found.culprits.len() as u64);
            let log = 64 - u64::from(n.leading_zeros());
            prop_assert!(found.checks <= 1 + k * (2 * log + 2), "{} checks for {} bad of {}", found.checks, k, n);
        }
    }

    #[test]
    fn one_check_when_all_are_honest_and_a_forged_copy_costs_the_true_vote_nothing() {
        let set = operator_set(&[1; 4]);
        let rule = QuorumRule::default();
        let suffices = |signed: u128| rule.approves(signed, 4);
        let mut candidates = votes(&[Kind::Honest; 4]);
        let found = certificate::<Bls12381, _>(&set, &mut candidates, &DIGEST, suffices, 1);
        assert_eq!((found.checks, found.certificate.unwrap().0.len()), (1, 4));

        let forged = votes(&[Kind::Bad; 4]);
        candidates.get_mut(&2).unwrap().insert(0, forged[&2][0]);
        let found = certificate::<Bls12381, _>(&set, &mut candidates, &DIGEST, suffices, 1);
        assert_eq!(found.certificate.unwrap().0, [0, 1, 2, 3]);
        assert_eq!(found.culprits, [(2, Kind::Bad)], "the forged vote, not the member's own");
    }

    #[test]
    fn exactly_two_thirds_is_not_enough_and_one_third_rejects() {
        let set = operator_set(&[1; 6]);
        let rule = QuorumRule::default();
        let mut four = votes(&[Kind::Honest, Kind::Honest, Kind::Honest, Kind::Honest, Kind::Silent, Kind::Silent]);
        let found = certificate::<Bls12381, _>(&set, &mut four, &DIGEST, |signed| rule.approves(signed, 6), 1);
        assert!(found.certificate.is_none());
        assert_eq!(found.checks, 0, "nothing is checked that cannot decide");
        four.remove(&0);
        four.remove(&1);
        let found = certificate::<Bls12381, _>(&set, &mut four, &DIGEST, |signed| rule.rejects(signed, 6), 1);
        assert_eq!(found.certificate.unwrap().0, [2, 3]);
    }
}
