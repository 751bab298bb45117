#![allow(clippy::unwrap_used)]
use super::*;
use crate::bls::SecretKey;
use crate::operators::Member;
use crate::quorum::QuorumRule;
use alloy::primitives::Address;
use proptest::prelude::*;
use serde::Deserialize;

fn set(powers: &[u128]) -> OperatorSet {
    // One key for all: what is drawn depends on powers alone.
    let key = SecretKey::derive(&[7; 32]).unwrap().public();
    let member = |power: &u128| Member { controller: Address::ZERO, signer: Address::ZERO, power: *power, key };
    OperatorSet::new(1, powers.iter().map(member).collect(), B256::ZERO).with_randomness(B256::repeat_byte(5))
}

fn capped(max_attesters: u16, minimum_attester_power: u128) -> TaskRule {
    TaskRule { task_definition: 1, max_attesters, minimum_attester_power, ..TaskRule::default() }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    powers: Vec<String>,
    minimum_power: String,
    seats: u16,
    randomness: B256,
    set_id: u32,
    slot: String,
    task_definition_id: u16,
    seed: B256,
    owners: Vec<usize>,
}

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

/// What an independent implementation drew (`contracts/test/vectors/generate.cjs`); the contract's tests read the same.
#[test]
fn it_is_drawn_as_by_others() {
    let vectors: Vectors = serde_json::from_str(include_str!("../../contracts/test/vectors/committee.json")).unwrap();
    assert_eq!(vectors.cases.len(), 14);
    for (at, case) in vectors.cases.iter().enumerate() {
        let powers: Vec<u128> = case.powers.iter().map(|power| power.parse().unwrap()).collect();
        let mut set = set(&powers).with_randomness(case.randomness);
        set.id = case.set_id;
        let rule = TaskRule {
            task_definition: case.task_definition_id,
            ..capped(case.seats, case.minimum_power.parse().unwrap())
        };
        let slot = case.slot.parse().unwrap();
        assert_eq!(seed(&set, &rule, slot), case.seed, "case {at}");
        assert_eq!(seats(&set, &rule, slot).unwrap_or_default(), case.owners, "case {at}");
    }
}

#[test]
fn thirds_are_exact_by_power_and_by_seats() {
    let nine = set(&[1; 9]);
    let by_power = Electorate::new(&nine, &capped(0, 0), 3);
    assert!(by_power.seats().is_none());
    assert_eq!((by_power.total(), by_power.attesters()), (9, 9));
    let by_seats = Electorate::new(&nine, &capped(6, 0), 3);
    assert_eq!((by_seats.total(), by_seats.weight_of(&[0, 1, 2, 3, 4, 5, 6, 7, 8])), (6, 6));
    for (electorate, third) in [(by_power, 3), (by_seats, 2)] {
        assert!(!electorate.suffices(true, 2 * third), "exactly two thirds do not approve");
        assert!(electorate.suffices(true, 2 * third + 1));
        assert!(!electorate.suffices(false, third - 1));
        assert!(electorate.suffices(false, third), "exactly one third rejects");
    }
}

#[test]
fn the_cap_counts_from_one_more_than_seats() {
    let seven = set(&[100; 7]);
    assert!(seats(&seven, &capped(7, 0), 1).is_none() && seats(&seven, &capped(0, 0), 1).is_none());
    assert_eq!(seats(&seven, &capped(6, 0), 1).unwrap().len(), 6);
    assert!(seats(&seven, &capped(6, 101), 1).is_none(), "nobody is eligible");
    let nobody = Electorate::new(&seven, &capped(6, 101), 1);
    assert_eq!((nobody.total(), nobody.attesters(), nobody.standing(0)), (0, 0, Standing::BelowMinimum));
    assert!(!nobody.suffices(true, 0) && !nobody.suffices(false, 0));
}

#[test]
fn jailing_empties_seats_and_moves_none() {
    let before = set(&[10, 20, 30, 40, 50, 60, 70]);
    let rule = capped(4, 0);
    for slot in 0..50 {
        let all = Electorate::new(&before, &rule, slot);
        let owner = all.seats().unwrap()[2];
        let jailed = Electorate::new(&before.without(|index| index == owner), &rule, slot);
        assert_eq!(jailed.seats(), all.seats());
        assert_eq!((jailed.weight(owner), jailed.standing(owner)), (0, Standing::Powerless));
        assert_eq!(jailed.total(), 4 - all.weight(owner));
        assert_eq!(jailed.standing(99), Standing::Powerless, "no member");
    }
}

/// Seats by member, in all of many slots.
fn seats_held(powers: &[u128], rule: &TaskRule, slots: u64) -> Vec<u128> {
    let set = set(powers);
    let mut held = vec![0; powers.len()];
    for slot in 0..slots {
        seats(&set, rule, slot).unwrap().into_iter().for_each(|owner| held[owner] += 1);
    }
    held
}

/// Nothing here is random: the same slots give the same seats on every machine.
#[test]
fn seats_go_by_power_wherever_a_member_stands() {
    const SLOTS: u64 = 4_000;
    let powers = [5, 1, 9, 3, 3, 2, 1, 1, 7, 4];
    let total: u128 = powers.iter().sum();
    let reversed: Vec<u128> = powers.iter().rev().copied().collect();
    let held = seats_held(&powers, &capped(7, 0), SLOTS);
    let mut mirrored = seats_held(&reversed, &capped(7, 0), SLOTS);
    mirrored.reverse();
    for held in [held, mirrored] {
        let chi_square: f64 = held
            .iter()
            .zip(&powers)
            .map(|(held, power)| {
                let expected = (7 * u128::from(SLOTS) * power) as f64 / total as f64;
                (*held as f64 - expected).powi(2) / expected
            })
            .sum();
        // The 99.9th percentile for nine degrees of freedom, of seats that are drawn one by one; these scatter less.
        assert!(chi_square < 27.9, "chi square {chi_square}, {held:?}");
    }
}

fn powers() -> impl Strategy<Value = Vec<u128>> {
    let power = prop_oneof![1u128..5, 1u128..1_000_000, (1u128 << 80)..(1u128 << 87)];
    proptest::collection::vec(power, 2..120)
}

proptest! {
    #[test]
    fn seats_are_shares_of_power(
        powers in powers(), cap in 1u16..=256, minimum in 0u128..1_000, slot: u64, jailed: u8,
    ) {
        let rule = capped(cap, minimum);
        let line: Vec<(usize, u128)> =
            powers.iter().copied().enumerate().filter(|(_, power)| *power >= minimum).collect();
        let set = set(&powers);
        let Some(owners) = seats(&set, &rule, slot) else {
            prop_assert!(line.len() <= usize::from(cap));
            let electorate = Electorate::new(&set, &rule, slot);
            prop_assert_eq!(electorate.total(), line.iter().map(|(_, power)| power).sum::<u128>());
            return Ok(());
        };
        prop_assert_eq!(owners.len(), usize::from(cap));
        prop_assert!(owners.is_sorted() && owners.iter().all(|owner| powers[*owner] >= minimum));
        let (k, total) = (u128::from(cap), line.iter().map(|(_, power)| power).sum::<u128>());
        let mut below = 0;
        for (member, power) in &line {
            let held = owners.iter().filter(|owner| *owner == member).count();
            // Stretches that lie wholly within the member's share are its own; one at either end may be.
            let own = (0..k).filter(|seat| seat * total >= below * k && (seat + 1) * total <= (below + power) * k).count();
            prop_assert!((own..=own + 2).contains(&held), "{} seats, {} of them sure", held, own);
            below += power;
        }
        let jailed = usize::from(jailed) % powers.len();
        let electorate = Electorate::new(&set.without(|index| index == jailed), &rule, slot);
        let empty = owners.iter().filter(|owner| **owner == jailed).count() as u128;
        prop_assert_eq!(electorate.total(), k - empty);
        let everybody: Vec<usize> = (0..powers.len()).collect();
        prop_assert_eq!(electorate.weight_of(&everybody), electorate.total());
        prop_assert_eq!(electorate.attesters(), everybody.iter().filter(|m| electorate.weight(**m) > 0).count());
        for member in everybody {
            prop_assert_eq!(electorate.weight(member) > 0, electorate.standing(member) == Standing::Attests);
        }
    }

    #[test]
    fn no_two_parts_of_a_committee_decide_differently(
        powers in powers(), cap in 1u16..=64, slot: u64, side: u128,
        (an, ad, rn, rd) in prop_oneof![Just((2, 3, 1, 3)), Just((1, 2, 1, 2)), Just((3, 4, 1, 4)), Just((2, 3, 2, 5))],
    ) {
        let quorum = QuorumRule { approve_numerator: an, approve_denominator: ad, reject_numerator: rn, reject_denominator: rd };
        prop_assert!(quorum.is_exclusive());
        let electorate = Electorate::new(&set(&powers), &TaskRule { quorum, ..capped(cap, 0) }, slot);
        let approving: Vec<usize> = (0..powers.len()).filter(|member| side >> (member % 128) & 1 == 1).collect();
        let rejecting: Vec<usize> = (0..powers.len()).filter(|member| !approving.contains(member)).collect();
        let (approving, rejecting) = (electorate.weight_of(&approving), electorate.weight_of(&rejecting));
        prop_assert_eq!(approving + rejecting, electorate.total());
        prop_assert!(!(electorate.suffices(true, approving) && electorate.suffices(false, rejecting)));
    }
}
