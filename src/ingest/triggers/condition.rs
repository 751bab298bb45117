//! Condition triggers: what a view function returns, compared.
//!
//! The call is a read like any workflow's: at the slot's pin, from nobody, with a fixed gas. A call that reverts, or returns
//! less than is looked at, makes the condition false: that is a fact of the chain, and the same for everybody.

use alloy::primitives::{Address, Bytes, I256, U256};
use alloy::sol_types::SolValue;
use ditto_core::chain::bindings::registry::WorkflowRegistry;

use super::MAX_TRIGGER_BYTES;

const WORD: usize = 32;

/// How the returned word is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reading {
    /// As an unsigned number; also addresses, booleans and fixed bytes.
    Unsigned,
    /// As a signed number.
    Signed,
    /// As the offset of bytes or a string.
    Dynamic,
}

/// How it is compared with the operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// The same.
    Equal,
    /// Above it.
    GreaterThan,
    /// Below it.
    LessThan,
    /// Not below it.
    GreaterThanOrEqual,
    /// Not above it.
    LessThanOrEqual,
    /// Another.
    NotEqual,
    /// The same as one of them.
    OneOf,
}

/// The comparisons, at the registry's numbers.
const COMPARISONS: [Comparison; 7] = [
    Comparison::Equal,
    Comparison::GreaterThan,
    Comparison::LessThan,
    Comparison::GreaterThanOrEqual,
    Comparison::LessThanOrEqual,
    Comparison::NotEqual,
    Comparison::OneOf,
];
/// The readings, at the registry's numbers.
const READINGS: [Reading; 3] = [Reading::Unsigned, Reading::Signed, Reading::Dynamic];

/// A call and what its result must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// What is called.
    pub target: Address,
    /// With which data.
    pub data: Bytes,
    /// Which of the returned head words is looked at.
    pub position: u8,
    /// How it is read.
    pub reading: Reading,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what: one operand, or several for [`Comparison::OneOf`].
    pub operands: Vec<Bytes>,
}

impl Condition {
    /// Reads a published condition trigger, and says why it is none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(data: &[u8]) -> Result<Self, String> {
        if data.len() > MAX_TRIGGER_BYTES {
            return Err(format!("it has {} bytes, {MAX_TRIGGER_BYTES} are allowed", data.len()));
        }
        let published = WorkflowRegistry::ConditionTrigger::abi_decode_validate(data)
            .map_err(|_| "not abi.encode(ConditionTrigger)".to_owned())?;
        let reading = READINGS.get(usize::from(published.result)).copied();
        let comparison = COMPARISONS.get(usize::from(published.comparison)).copied();
        let condition = Self {
            chain_id: published.chainId,
            target: published.target,
            data: published.data,
            position: published.position,
            reading: reading.ok_or_else(|| format!("there is no result {}", published.result))?,
            comparison: comparison.ok_or_else(|| format!("there is no comparison {}", published.comparison))?,
            operands: published.operands,
        };
        condition.check()?;
        Ok(condition)
    }

    fn check(&self) -> Result<(), String> {
        let ordered = matches!(
            self.comparison,
            Comparison::GreaterThan
                | Comparison::LessThan
                | Comparison::GreaterThanOrEqual
                | Comparison::LessThanOrEqual
        );
        if self.reading == Reading::Dynamic && ordered {
            return Err("bytes and strings have no order: compare them for equality".into());
        }
        let several = self.comparison == Comparison::OneOf;
        if self.operands.is_empty() || (self.operands.len() > 1 && !several) {
            return Err(format!(
                "{} operands, this comparison takes {}",
                self.operands.len(),
                if several { "one or more" } else { "one" }
            ));
        }
        if self.reading != Reading::Dynamic && self.operands.iter().any(|operand| operand.len() != WORD) {
            return Err("an operand that is no word of 32 bytes".into());
        }
        Ok(())
    }

    /// As it is published.
    ///
    /// # Errors
    /// When the registry or the operators would not take it.
    pub fn published(&self) -> Result<Vec<u8>, String> {
        let number = |place: Option<usize>| place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX);
        let data = WorkflowRegistry::ConditionTrigger {
            chainId: self.chain_id,
            target: self.target,
            data: self.data.clone(),
            position: self.position,
            result: number(READINGS.iter().position(|reading| *reading == self.reading)),
            comparison: number(COMPARISONS.iter().position(|comparison| *comparison == self.comparison)),
            operands: self.operands.clone(),
        }
        .abi_encode();
        Self::parse(&data).map(|_| data)
    }

    /// Whether what the call returned is what is wanted.
    #[must_use]
    pub fn holds(&self, returned: &[u8]) -> bool {
        let Some(word) = word_at(returned, usize::from(self.position) * WORD) else { return false };
        let found = match self.reading {
            Reading::Unsigned | Reading::Signed => word,
            Reading::Dynamic => match bytes_at(returned, word) {
                Some(bytes) => bytes,
                None => return false,
            },
        };
        let Some(operand) = self.operands.first() else { return false };
        match self.comparison {
            Comparison::Equal => found == operand.as_ref(),
            Comparison::NotEqual => found != operand.as_ref(),
            Comparison::OneOf => self.operands.iter().any(|operand| found == operand.as_ref()),
            Comparison::GreaterThan => self.order(found, operand).is_gt(),
            Comparison::LessThan => self.order(found, operand).is_lt(),
            Comparison::GreaterThanOrEqual => self.order(found, operand).is_ge(),
            Comparison::LessThanOrEqual => self.order(found, operand).is_le(),
        }
    }

    /// Words by their value; both are words, for bytes have no order.
    fn order(&self, found: &[u8], operand: &[u8]) -> std::cmp::Ordering {
        let (found, operand) = (U256::from_be_slice(found), U256::from_be_slice(operand));
        match self.reading {
            Reading::Signed => I256::from_raw(found).cmp(&I256::from_raw(operand)),
            _ => found.cmp(&operand),
        }
    }
}

fn word_at(returned: &[u8], at: usize) -> Option<&[u8]> {
    returned.get(at..at.checked_add(WORD)?)
}

/// The bytes behind an offset, as the ABI has them: a length, then so many.
fn bytes_at<'a>(returned: &'a [u8], offset: &[u8]) -> Option<&'a [u8]> {
    let offset = usize::try_from(U256::from_be_slice(offset)).ok()?;
    let length = usize::try_from(U256::from_be_slice(word_at(returned, offset)?)).ok()?;
    let start = offset.checked_add(WORD)?;
    returned.get(start..start.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn condition(reading: Reading, comparison: Comparison, operands: Vec<Vec<u8>>) -> Condition {
        Condition {
            chain_id: 1,
            target: Address::repeat_byte(1),
            data: vec![1, 2, 3, 4].into(),
            position: 0,
            reading,
            comparison,
            operands: operands.into_iter().map(Bytes::from).collect(),
        }
    }

    fn word(number: i64) -> Vec<u8> {
        I256::try_from(number).unwrap().to_be_bytes::<32>().to_vec()
    }

    #[test]
    fn every_comparison_means_what_it_says() {
        for (comparison, held) in [
            (Comparison::Equal, [false, true, false]),
            (Comparison::NotEqual, [true, false, true]),
            (Comparison::GreaterThan, [false, false, true]),
            (Comparison::GreaterThanOrEqual, [false, true, true]),
            (Comparison::LessThan, [true, false, false]),
            (Comparison::LessThanOrEqual, [true, true, false]),
            (Comparison::OneOf, [false, true, false]),
        ] {
            let condition = condition(Reading::Unsigned, comparison, vec![word(5)]);
            assert_eq!([4, 5, 6].map(|found| condition.holds(&word(found))), held, "{comparison:?}");
        }
        let one_of = condition(Reading::Unsigned, Comparison::OneOf, vec![word(1), word(3)]);
        assert_eq!([1, 2, 3].map(|found| one_of.holds(&word(found))), [true, false, true]);
    }

    #[test]
    fn a_sign_counts_only_where_it_is_one() {
        let above = |reading| condition(reading, Comparison::GreaterThan, vec![word(5)]);
        assert!(!above(Reading::Signed).holds(&word(-1)) && above(Reading::Unsigned).holds(&word(-1)));
        assert!(condition(Reading::Signed, Comparison::LessThan, vec![word(-5)]).holds(&word(-6)));
    }

    #[test]
    fn strings_are_compared_by_what_they_hold() {
        let returned = ("open".to_owned(), U256::from(7)).abi_encode_params();
        let is = |text: &str| condition(Reading::Dynamic, Comparison::Equal, vec![text.into()]).holds(&returned);
        assert!(is("open") && !is("closed") && !is("open\0"));
        let mut second = condition(Reading::Unsigned, Comparison::Equal, vec![word(7)]);
        second.position = 1;
        assert!(second.holds(&returned));
        second.position = 9;
        assert!(!second.holds(&returned), "no such word");
    }

    #[test]
    fn what_returns_too_little_does_not_hold_even_as_unequal() {
        for comparison in COMPARISONS {
            let condition = condition(Reading::Unsigned, comparison, vec![word(5)]);
            assert!(!condition.holds(&[]) && !condition.holds(&word(5)[..31]), "{comparison:?}");
        }
        let unequal = condition(Reading::Dynamic, Comparison::NotEqual, vec![b"a".to_vec()]);
        let far = U256::MAX.to_be_bytes::<32>();
        assert!(!unequal.holds(&far) && !unequal.holds(&[word(32), far.to_vec()].concat()));
    }

    #[test]
    fn what_cannot_be_compared_is_no_trigger() {
        for (condition, cause) in [
            (condition(Reading::Dynamic, Comparison::LessThan, vec![word(1)]), "no order"),
            (condition(Reading::Unsigned, Comparison::Equal, vec![]), "0 operands"),
            (condition(Reading::Unsigned, Comparison::Equal, vec![word(1), word(2)]), "2 operands"),
            (condition(Reading::Unsigned, Comparison::Equal, vec![vec![1]]), "32 bytes"),
            (condition(Reading::Dynamic, Comparison::Equal, vec![vec![1; 1_400]]), "1536"),
        ] {
            let error = condition.published().unwrap_err();
            assert!(error.contains(cause), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_published_comes_back(kind in 0usize..3, comparison in 0usize..7, position: u8, words in proptest::collection::vec(any::<[u8; 32]>(), 1..4)) {
            let operands = if comparison == 6 { words.len() } else { 1 };
            let mut some = condition(READINGS[kind], COMPARISONS[comparison], words.iter().take(operands).map(|word| word.to_vec()).collect());
            some.position = position;
            match some.published() {
                Ok(data) => prop_assert_eq!(Condition::parse(&data).unwrap(), some),
                Err(error) => prop_assert!(error.contains("no order")),
            }
        }

        #[test]
        fn junk_never_panics(data in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _condition = Condition::parse(&data);
        }

        #[test]
        fn whatever_is_returned_is_compared_or_not(returned in proptest::collection::vec(any::<u8>(), 0..200), position: u8, kind in 0usize..3, comparison in 0usize..7) {
            let mut some = condition(READINGS[kind], COMPARISONS[comparison], vec![word(1)]);
            some.position = position;
            let _holds = some.holds(&returned);
        }

        #[test]
        fn numbers_are_ordered_as_numbers(found: i64, operand: i64) {
            let holds = |comparison| condition(Reading::Signed, comparison, vec![word(operand)]).holds(&word(found));
            prop_assert_eq!(holds(Comparison::GreaterThan), found > operand);
            prop_assert_eq!(holds(Comparison::LessThanOrEqual), found <= operand);
        }
    }
}
