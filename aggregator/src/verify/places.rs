//! Sets of a batch's tasks.

use ditto_core::proposal::MAX_TASKS;
use ditto_core::verdict::{Verdict, VerdictVector};

/// A set of places in a batch: one bit per task, as the contract keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Places([u64; MAX_TASKS / 64]);

impl Places {
    /// The first so many places.
    #[must_use]
    pub fn all(tasks: usize) -> Self {
        (0..tasks).collect()
    }

    /// The places that a vector decides: where it does not abstain.
    #[must_use]
    pub fn decided_by(verdicts: &VerdictVector) -> Self {
        verdicts
            .0
            .iter()
            .enumerate()
            .filter(|(_, verdict)| **verdict != Verdict::Abstain)
            .map(|(place, _)| place)
            .collect()
    }

    /// Adds a place; one that no batch has is left out.
    pub fn insert(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    /// Is this place in the set?
    #[must_use]
    pub fn holds(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Adds all of another set.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, more)| *word |= more);
    }

    /// Is all of another set in this one?
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).all(|(word, more)| more & !word == 0)
    }

    /// Do the two have a place in common?
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).any(|(word, more)| word & more != 0)
    }

    /// How many places.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The places, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..MAX_TASKS).filter(|place| self.holds(*place))
    }
}

impl FromIterator<usize> for Places {
    fn from_iter<I: IntoIterator<Item = usize>>(places: I) -> Self {
        let mut set = Self::default();
        places.into_iter().for_each(|place| set.insert(place));
        set
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn sets_of_places_are_sets(a: BTreeSet<u8>, b: BTreeSet<u8>) {
            let set = |places: &BTreeSet<u8>| places.iter().map(|place| usize::from(*place)).collect::<Places>();
            let (x, y) = (set(&a), set(&b));
            prop_assert_eq!(x.len(), a.len());
            prop_assert_eq!(x.iter().collect::<Vec<_>>(), a.iter().map(|p| usize::from(*p)).collect::<Vec<_>>());
            prop_assert_eq!(x.covers(&y), b.is_subset(&a));
            prop_assert_eq!(x.meets(&y), !a.is_disjoint(&b));
            let mut both = x;
            both.add(&y);
            prop_assert_eq!(both, set(&a.union(&b).copied().collect()));
        }
    }

    #[test]
    fn a_vector_decides_what_it_does_not_abstain_from() {
        let verdicts = VerdictVector::from_bytes(&[0, 255, 4]).unwrap();
        assert_eq!(Places::decided_by(&verdicts), [0, 2].into_iter().collect());
        assert_eq!(Places::all(3).len(), 3);
    }
}
