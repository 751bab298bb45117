//! Who of a set counts for a slot's tasks, and how much.
//!
//! A task definition may ask for a minimum of power, below which a member does not count, and may cap the attesters: then,
//! when more are eligible, seats are drawn for every slot, by power. The line of all eligible power, in the set's order, is
//! cut into as many equal stretches as there are seats, and a point is drawn on each; the member on whose share it falls has
//! the seat. Every unit of power has the same chance, and nobody's seats differ from its share by two or more: less
//! luck than drawing each seat from the whole line, and no worse odds for anybody, whatever the set's order.
//!
//! The draw goes by the powers at the snapshot. A member that is jailed later keeps its seats, and they count zero on both
//! sides: what was signed by the others stays good. `contracts/src/Committee.sol` computes the same.

use alloy::primitives::{B256, U256, keccak256};

use crate::clock::Slot;
use crate::operators::OperatorSet;
use crate::quorum::TaskRule;
use crate::verdict::VerdictVector;

/// The most seats that the contract draws: each costs gas.
pub const MAX_SEATS: u16 = 256;

/// What a member may do for a slot's tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its vote counts.
    Attests,
    /// It is not in the set, or has no power in it: jailed.
    Powerless,
    /// Its power is below the minimum per attester.
    BelowMinimum,
    /// It has no seat in the slot's committee.
    Unseated,
}

/// The members whose votes count for a slot's tasks: by power, or by seats where there is a cap and more are eligible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Electorate {
    rule: TaskRule,
    standings: Vec<Standing>,
    weights: Vec<u128>,
    total: u128,
    attesters: usize,
    seats: Option<Vec<usize>>,
}

impl Electorate {
    /// Who counts in `slot`, of this set and by this rule.
    #[must_use]
    pub fn new(set: &OperatorSet, rule: &TaskRule, slot: Slot) -> Self {
        let drawn = seats(set, rule, slot);
        let mut weights = vec![0; set.members.len()];
        match &drawn {
            Some(owners) => owners.iter().for_each(|owner| weights[*owner] += 1),
            None => weights.clone_from_slice(set.frozen_powers()),
        }
        let mut standings = Vec::with_capacity(weights.len());
        for ((weight, member), frozen) in weights.iter_mut().zip(&set.members).zip(set.frozen_powers()) {
            let standing = match () {
                () if member.power == 0 => Standing::Powerless,
                () if *frozen < rule.minimum_attester_power => Standing::BelowMinimum,
                () if *weight == 0 => Standing::Unseated,
                () => Standing::Attests,
            };
            if standing != Standing::Attests {
                *weight = 0;
            }
            standings.push(standing);
        }
        let total = weights.iter().fold(0, |sum: u128, weight| sum.saturating_add(*weight));
        let attesters = weights.iter().filter(|weight| **weight > 0).count();
        Self { rule: *rule, standings, weights, total, attesters, seats: drawn }
    }

    /// The rule that it follows from.
    #[must_use]
    pub fn rule(&self) -> &TaskRule {
        &self.rule
    }

    /// What a member may do, by its place in the set.
    #[must_use]
    pub fn standing(&self, member: usize) -> Standing {
        self.standings.get(member).copied().unwrap_or(Standing::Powerless)
    }

    /// How much a member's vote counts.
    #[must_use]
    pub fn weight(&self, member: usize) -> u128 {
        self.weights.get(member).copied().unwrap_or_default()
    }

    /// How much the votes of several members count.
    pub fn weight_of<'a>(&self, members: impl IntoIterator<Item = &'a usize>) -> u128 {
        members.into_iter().fold(0, |sum: u128, member| sum.saturating_add(self.weight(*member)))
    }

    /// How much all votes count.
    #[must_use]
    pub fn total(&self) -> u128 {
        self.total
    }

    /// How many members' votes count.
    #[must_use]
    pub fn attesters(&self) -> usize {
        self.attesters
    }

    /// How many members the set has, which a certificate's bits name.
    #[must_use]
    pub fn members(&self) -> usize {
        self.weights.len()
    }

    /// The owners of the seats, ascending; `None` when power is counted.
    #[must_use]
    pub fn seats(&self) -> Option<&[usize]> {
        self.seats.as_deref()
    }

    /// Whether votes that count `signed` decide these verdicts: by the approval fraction when anything is approved, else by
    /// the rejection fraction.
    #[must_use]
    pub fn decides(&self, verdicts: &VerdictVector, signed: u128) -> bool {
        self.suffices(verdicts.approves_any(), signed)
    }

    /// The same, for verdicts of which it is known whether they approve anything.
    #[must_use]
    pub fn suffices(&self, approves: bool, signed: u128) -> bool {
        let quorum = &self.rule.quorum;
        let reached = if approves { quorum.approves(signed, self.total) } else { quorum.rejects(signed, self.total) };
        reached && signed != 0 && signed >= self.rule.minimum_power
    }
}

/// The owners of a slot's seats, ascending: places in the set. `None` when there is no cap, or everybody who is eligible finds
/// a seat anyway; then power is counted.
#[must_use]
pub fn seats(set: &OperatorSet, rule: &TaskRule, slot: Slot) -> Option<Vec<usize>> {
    let eligible = || {
        let powers = set.frozen_powers().iter().copied().enumerate();
        powers.filter(|(_, power)| *power >= rule.minimum_attester_power.max(1))
    };
    let count = u128::from(rule.max_attesters.min(MAX_SEATS));
    if count == 0 || eligible().count() as u128 <= count {
        return None;
    }
    // In parts of a unit of power, as many as there are seats, so that the stretches are equally long and whole. Powers are at
    // most 96 bits, all of a set together, and seats 9: the products fit.
    let total: u128 = eligible().map(|(_, power)| power).sum();
    let seed = seed(set, rule, slot);
    let mut line = eligible();
    let (mut owner, power) = line.next()?;
    let mut up_to = power * count;
    let mut owners = Vec::with_capacity(usize::from(rule.max_attesters));
    for seat in 0..count {
        let point = seat * total + point(seed, seat, total);
        while point >= up_to {
            let (next, power) = line.next()?;
            owner = next;
            up_to += power * count;
        }
        owners.push(owner);
    }
    Some(owners)
}

/// What a slot's draw starts from: domain, the set's randomness, set, slot and task definition, each a 32-byte word.
fn seed(set: &OperatorSet, rule: &TaskRule, slot: Slot) -> B256 {
    let mut words = Vec::with_capacity(5 * 32);
    words.extend_from_slice(keccak256("DITTO-V01-COMMITTEE").as_slice());
    words.extend_from_slice(set.randomness.as_slice());
    for number in [u64::from(set.id), slot, u64::from(rule.task_definition)] {
        words.extend_from_slice(&U256::from(number).to_be_bytes::<32>());
    }
    keccak256(words)
}

/// A number below `width`, uniform but for less than 2^-160: 256 bits are reduced by at most 96.
fn point(seed: B256, seat: u128, width: u128) -> u128 {
    let words = [seed.0, U256::from(seat).to_be_bytes::<32>()].concat();
    let number = U256::from_be_bytes(keccak256(words).0) % U256::from(width.max(1));
    let [low, high, ..] = *number.as_limbs();
    u128::from(low) | (u128::from(high) << 64)
}

#[cfg(test)]
#[path = "committee_tests.rs"]
mod tests;
