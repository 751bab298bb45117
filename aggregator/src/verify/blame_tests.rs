#![allow(clippy::unwrap_used)]
use super::*;
use crate::testing::{electorate, operator_set, secret};
use alloy::primitives::keccak256;
use ditto_core::bls::{Bls12381, Signature, SignatureSum};
use ditto_core::quorum::QuorumRule;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

const DIGEST: [u8; 32] = [1; 32];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Honest,
    /// A signature of something else.
    Bad,
    /// The two halves of a pair whose errors cancel: each carries the other's signature.
    Swapped,
    /// The author's own vote plus an error, of which the next such vote carries the negative.
    Shifted,
    Silent,
}

impl Kind {
    fn is_bad(self) -> bool {
        matches!(self, Self::Bad | Self::Swapped | Self::Shifted)
    }
}

/// A signature that is the sum of these.
fn sum(parts: &[Signature]) -> Signature {
    let mut sum = blst_sum(parts[0]);
    parts[1..].iter().for_each(|part| sum.add_signature(&raw(*part), false).unwrap());
    Signature::from_bytes(&sum.to_signature().serialize()).unwrap()
}

fn raw(signature: Signature) -> blst::min_sig::Signature {
    blst::min_sig::Signature::deserialize(&signature.to_bytes()).unwrap()
}

fn blst_sum(signature: Signature) -> blst::min_sig::AggregateSignature {
    blst::min_sig::AggregateSignature::from_signature(&raw(signature))
}

fn negative(signature: Signature) -> Signature {
    // y of an uncompressed point is its second half, below the field's modulus.
    let mut point: blst::blst_p1_affine = raw(signature).into();
    // SAFETY: the point lives through the call.
    unsafe { blst::blst_fp_cneg(&mut point.y, &point.y, true) };
    Signature::from_bytes(&blst::min_sig::Signature::from(point).serialize()).unwrap()
}

fn votes(kinds: &[Kind]) -> Candidates<Bls12381, Kind> {
    let good = |i: usize| secret(i).sign(&DIGEST, Purpose::Vote);
    let pairs = |wanted: Kind| -> BTreeMap<usize, (usize, bool)> {
        let all: Vec<usize> = (0..kinds.len()).filter(|i| kinds[*i] == wanted).collect();
        all.chunks_exact(2).flat_map(|pair| [(pair[0], (pair[1], false)), (pair[1], (pair[0], true))]).collect()
    };
    let (swapped, shifted) = (pairs(Kind::Swapped), pairs(Kind::Shifted));
    let error = |a: usize, b: usize| secret(a.min(b)).sign(&keccak256([7]).0, Purpose::Vote);
    kinds
        .iter()
        .enumerate()
        .filter(|(_, kind)| **kind != Kind::Silent)
        .map(|(i, kind)| {
            let bad = || secret(i).sign(&[2; 32], Purpose::Vote);
            let signature = match kind {
                Kind::Bad => bad(),
                Kind::Swapped => swapped.get(&i).map_or_else(bad, |(other, _)| good(*other)),
                Kind::Shifted => shifted.get(&i).map_or_else(bad, |(other, minus)| {
                    let error = error(i, *other);
                    sum(&[good(i), if *minus { negative(error) } else { error }])
                }),
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

/// What `k` bad votes among `n` may cost: a check per round, and two per level and culprit, the last one alone.
fn bound(n: usize, k: usize) -> u64 {
    let levels = u64::from(n.next_power_of_two().ilog2());
    let k = k as u64;
    1 + k + k * (2 * levels + 1)
}

fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        8 => Just(Kind::Honest),
        1 => Just(Kind::Bad),
        1 => Just(Kind::Swapped),
        1 => Just(Kind::Shifted),
        1 => Just(Kind::Silent),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn honest_votes_that_suffice_are_certified_and_never_blamed(
        kinds in proptest::collection::vec(kind(), 1..24),
        margin in 0usize..3,
        seed: u64,
    ) {
        let set = operator_set(&vec![1; kinds.len()]);
        let rule = QuorumRule::default();
        let suffices = |signed: u128| rule.approves(signed, set.total_power);
        let mut candidates = votes(&kinds);
        let all = candidates.clone();
        let found = certificate::<Bls12381, _>(&set, &electorate(&set), &mut candidates, &DIGEST, suffices, margin, &mut rng(seed));

        let honest = kinds.iter().filter(|kind| **kind == Kind::Honest).count() as u128;
        for (_, kind) in &found.culprits {
            prop_assert!(kind.is_bad(), "an honest voter was blamed");
        }
        if suffices(honest) {
            prop_assert!(found.certificate.is_some(), "the honest votes suffice");
        }
        if let Some((signers, signature)) = &found.certificate {
            prop_assert!(suffices(signers.len() as u128));
            prop_assert_eq!(sum_of(signers, &all), Some(*signature), "what is submitted is sound as it is");
            prop_assert!(signers.iter().all(|signer| all[signer][0].1 != Kind::Bad));
        }
        prop_assert!(found.checks <= bound(kinds.len(), found.culprits.len()), "{} checks for {} bad of {}", found.checks, found.culprits.len(), kinds.len());
    }

    #[test]
    fn every_bad_vote_of_a_sum_that_fails_is_named_and_nobody_else(
        kinds in proptest::collection::vec(kind(), 2..24),
        seed: u64,
    ) {
        // One vote that nothing makes up for, so that the sum fails, in a random place among the others.
        let mut kinds = kinds;
        kinds.push(Kind::Bad);
        kinds.shuffle(&mut rng(seed));
        let set = operator_set(&vec![1; kinds.len()]);
        let mut candidates = votes(&kinds);
        let mut found = sift::<Bls12381, _>(&set, &mut candidates, &DIGEST, &mut rng(seed));
        found.culprits.sort_by_key(|(index, _)| *index);
        let named: Vec<usize> = found.culprits.iter().map(|(index, _)| *index).collect();
        let bad: Vec<usize> = (0..kinds.len()).filter(|i| kinds[*i].is_bad()).collect();
        prop_assert_eq!(named, bad, "seed {}", seed);
        prop_assert!(candidates.values().flatten().all(|(_, kind)| *kind == Kind::Honest));
        prop_assert!(found.checks <= bound(kinds.len(), found.culprits.len()), "{} checks", found.checks);
    }
}

#[test]
fn two_hundred_votes_with_three_bad_cost_logarithmically_many_checks() {
    let mut kinds = vec![Kind::Honest; 200];
    (kinds[3], kinds[77], kinds[199]) = (Kind::Bad, Kind::Shifted, Kind::Shifted);
    let set = operator_set(&vec![1; kinds.len()]);
    let rule = QuorumRule::default();
    let suffices = |signed: u128| rule.approves(signed, set.total_power);
    let mut candidates = votes(&kinds);
    let found = certificate::<Bls12381, _>(&set, &electorate(&set), &mut candidates, &DIGEST, suffices, 1, &mut rng(1));
    let mut named: Vec<usize> = found.culprits.iter().map(|(index, _)| *index).collect();
    named.sort_unstable();
    assert_eq!(named, [3, 77, 199]);
    assert_eq!(found.certificate.unwrap().0.len(), 197);
    assert!(found.checks <= bound(200, 3), "{} checks", found.checks);
    assert!(found.checks < 60, "{} checks", found.checks);
}

#[test]
fn one_check_when_all_are_honest_and_a_forged_copy_costs_the_true_vote_nothing() {
    let set = operator_set(&[1; 4]);
    let rule = QuorumRule::default();
    let suffices = |signed: u128| rule.approves(signed, 4);
    let mut candidates = votes(&[Kind::Honest; 4]);
    let found = certificate::<Bls12381, _>(&set, &electorate(&set), &mut candidates, &DIGEST, suffices, 1, &mut rng(2));
    assert_eq!((found.checks, found.certificate.unwrap().0.len()), (1, 4));

    let forged = votes(&[Kind::Bad; 4]);
    candidates.get_mut(&2).unwrap().insert(0, forged[&2][0]);
    let found = certificate::<Bls12381, _>(&set, &electorate(&set), &mut candidates, &DIGEST, suffices, 1, &mut rng(3));
    assert_eq!(found.certificate.unwrap().0, [0, 1, 2, 3]);
    assert_eq!(found.culprits, [(2, Kind::Bad)], "the forged vote, not the member's own");
}

/// A point of the curve whose order divides the cofactor: some point of the curve times the order of the subgroup.
fn torsion() -> Signature {
    let compressed = |x: u8| {
        let mut bytes = [0; 48];
        (bytes[0], bytes[47]) = (0x80, x);
        bytes
    };
    let point = (1..50).find_map(|x| blst::min_sig::Signature::uncompress(&compressed(x)).ok()).unwrap();
    let order = alloy::hex!("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001");
    let order: Vec<u8> = order.into_iter().rev().collect();
    let (affine, mut point, mut product): (blst::blst_p1_affine, _, _) =
        (point.into(), Default::default(), Default::default());
    // SAFETY: all of it lives through the calls, and the order has the 255 bits that are read.
    unsafe {
        blst::blst_p1_from_affine(&mut point, &affine);
        blst::blst_p1_mult(&mut product, &point, order.as_ptr(), 255);
    }
    let bytes = blst::min_sig::AggregateSignature::from(product).to_signature().serialize();
    Signature::from_bytes(&bytes).unwrap()
}

#[test]
fn a_vote_outside_the_subgroup_is_found_whatever_its_weight() {
    let torsion = torsion();
    for seed in 0..8 {
        let mut candidates = votes(&[Kind::Honest; 5]);
        let shifted = sum(&[candidates[&2][0].0, torsion]);
        candidates.insert(2, vec![(shifted, Kind::Bad)]);
        let set = operator_set(&[1; 5]);
        let found = sift::<Bls12381, _>(&set, &mut candidates, &DIGEST, &mut rng(seed));
        assert_eq!(found.culprits, [(2, Kind::Bad)]);
    }
}

#[test]
fn exactly_two_thirds_is_not_enough_and_one_third_rejects() {
    let set = operator_set(&[1; 6]);
    let rule = QuorumRule::default();
    let mut four = votes(&[Kind::Honest, Kind::Honest, Kind::Honest, Kind::Honest, Kind::Silent, Kind::Silent]);
    let approves = |signed| rule.approves(signed, 6);
    let found = certificate::<Bls12381, _>(&set, &electorate(&set), &mut four, &DIGEST, approves, 1, &mut rng(4));
    assert!(found.certificate.is_none());
    assert_eq!(found.checks, 0, "nothing is checked that cannot decide");
    four.remove(&0);
    four.remove(&1);
    let rejects = |signed| rule.rejects(signed, 6);
    let found = certificate::<Bls12381, _>(&set, &electorate(&set), &mut four, &DIGEST, rejects, 1, &mut rng(5));
    assert_eq!(found.certificate.unwrap().0, [2, 3]);
}
