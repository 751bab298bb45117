//! Amounts of money as an author writes them: `"0.1 ether"`, `"30 gwei"`, `"1000 wei"`, or a bare number of wei.

use std::fmt;

use alloy::primitives::U256;
use alloy::primitives::utils::{format_ether, format_units, parse_units};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Wei.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub U256);

/// Why a text is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an amount: write a number and wei, gwei or ether, such as \"0.1 ether\"")]
pub struct AmountError {
    text: String,
}

impl std::str::FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let wrong = || AmountError { text: text.to_owned() };
        let trimmed = text.trim();
        let split = trimmed.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(split);
        let number = number.trim().replace('_', "");
        let unit = match unit {
            "" | "wei" => "wei",
            "gwei" => "gwei",
            "ether" | "eth" | "ETH" => "ether",
            _ => return Err(wrong()),
        };
        // The parser takes signs and empty texts for something.
        if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') || !number.starts_with(char::is_numeric) {
            return Err(wrong());
        }
        // A fraction of a wei, or more digits than the unit has, would be cut off silently.
        let decimals = number.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        if decimals
            > match unit {
                "wei" => 0,
                "gwei" => 9,
                _ => 18,
            }
        {
            return Err(wrong());
        }
        parse_units(&number, unit).map(|parsed| Self(parsed.get_absolute())).map_err(|_| wrong())
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trimmed = |text: String| text.trim_end_matches('0').trim_end_matches('.').to_owned();
        // Below a hundred thousandth of an ether people read gwei; below a gwei, wei.
        if self.0.is_zero() {
            f.write_str("0")
        } else if self.0 >= U256::from(10_u64.pow(13)) {
            write!(f, "{} ether", trimmed(format_ether(self.0)))
        } else if self.0 >= U256::from(10_u64.pow(6)) {
            write!(f, "{} gwei", trimmed(format_units(self.0, "gwei").unwrap_or_default()))
        } else {
            write!(f, "{} wei", self.0)
        }
    }
}

impl Amount {
    /// Rounded up to four digits, for sums that are estimates anyway.
    #[must_use]
    pub fn rounded(self) -> Self {
        let digits = self.0.to_string().len();
        let grain = U256::from(10).pow(U256::from(digits.saturating_sub(4)));
        Self(self.0.div_ceil(grain).saturating_mul(grain))
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_string())
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount such as \"0.1 ether\", \"30 gwei\", or a whole number of wei")
            }

            fn visit_u64<E>(self, wei: u64) -> Result<Amount, E> {
                Ok(Amount(U256::from(wei)))
            }

            fn visit_i64<E: serde::de::Error>(self, wei: i64) -> Result<Amount, E> {
                let unexpected = serde::de::Unexpected::Signed(wei);
                u64::try_from(wei).map(|wei| Amount(U256::from(wei))).map_err(|_| E::invalid_value(unexpected, &self))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Amount, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_read_in_every_unit() {
        for (text, wei) in [
            ("0", 0),
            ("12", 12),
            ("1_000 wei", 1_000),
            ("30 gwei", 30_000_000_000),
            ("30gwei", 30_000_000_000),
            ("0.000000001 gwei", 1),
            ("0.5 ether", 500_000_000_000_000_000_u128),
            (" 1 ETH ", 1_000_000_000_000_000_000),
        ] {
            assert_eq!(text.parse::<Amount>().unwrap().0, U256::from(wei), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in
            ["", "-1", "+1", "ether", "1 usd", "1.5 wei", "1e18", "0x10", ".5 ether", "1.2.3 ether", "1 ether 2"]
        {
            assert!(text.parse::<Amount>().unwrap_err().to_string().contains("0.1 ether"), "{text}");
        }
        assert!(format!("{} ether", U256::MAX).parse::<Amount>().is_err(), "more than there are numbers");
    }

    #[test]
    fn estimates_are_rounded_up() {
        let rounded = |wei: u64| Amount(U256::from(wei)).rounded().0.to_string();
        assert_eq!([0, 9_999, 99_991, 12_340_001].map(rounded), ["0", "9999", "100000", "12350000"]);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again_as_the_same(wei: u128) {
            let amount = Amount(U256::from(wei));
            prop_assert_eq!(amount.to_string().parse::<Amount>().unwrap(), amount);
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _amount = text.parse::<Amount>();
        }
    }
}
