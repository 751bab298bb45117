//! Sums of public keys.
//!
//! Adding a key costs more than adding a signature: it lies in the larger group. Where most of an operator set signs, the
//! sum of their keys is everybody's, which is reckoned once, less the few that did not.

use blst::{blst_p2, blst_p2_affine};

use super::PublicKey;

/// A sum of keys.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct KeySum(blst_p2);

impl KeySum {
    /// The sum of these keys; of none it is infinity, under which no signature is sound.
    #[must_use]
    pub fn of<'a>(keys: impl Iterator<Item = &'a PublicKey>) -> Self {
        let mut sum = Self::default();
        for key in keys {
            let (key, before): (blst_p2_affine, _) = (key.0.into(), sum.0);
            // SAFETY: every pointer is to a value that lives through the call.
            unsafe { blst::blst_p2_add_or_double_affine(&mut sum.0, &before, &key) };
        }
        sum
    }

    /// What is left of this sum without another.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let (mut negated, mut left) = (other.0, blst_p2::default());
        // SAFETY: every pointer is to a value that lives through the call.
        unsafe {
            blst::blst_p2_cneg(&mut negated, true);
            blst::blst_p2_add_or_double(&mut left, &self.0, &negated);
        }
        Self(left)
    }

    pub(super) fn point(&self) -> blst_p2 {
        self.0
    }
}

impl std::fmt::Debug for KeySum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeySum(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::bls::{Bls12381, Message, Purpose, Scheme, SecretKey};
    use proptest::prelude::*;

    fn secrets(count: u8) -> Vec<SecretKey> {
        (1..=count).map(|seed| SecretKey::derive(&[seed; 32]).unwrap()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn everybody_less_those_who_did_not_sign_is_those_who_did(signed in proptest::collection::vec(any::<bool>(), 1..9)) {
            let secrets = secrets(u8::try_from(signed.len()).unwrap());
            let keys: Vec<_> = secrets.iter().map(SecretKey::public).collect();
            let of = |wanted: bool| KeySum::of(keys.iter().zip(&signed).filter(|(_, s)| **s == wanted).map(|(key, _)| key));
            let left = KeySum::of(keys.iter()).without(&of(false));
            prop_assert_eq!(left, of(true));
            let digest = [7; 32];
            let message = Message::new(&digest, Purpose::Vote);
            let signatures: Vec<_> = secrets.iter().zip(&signed).filter(|(_, s)| **s).map(|(k, _)| k.sign(&digest, Purpose::Vote)).collect();
            let sum = Bls12381::summed(signatures.iter(), &left);
            prop_assert_eq!(Bls12381::verified(&sum, &message).is_some(), !signatures.is_empty());
            if signatures.len() > 1 {
                let less = Bls12381::summed(signatures[1..].iter(), &left);
                prop_assert!(Bls12381::verified(&less, &message).is_none(), "a signature is missing, and its key is not");
            }
        }
    }

    #[test]
    fn nobody_is_infinity_and_verifies_nothing() {
        let keys: Vec<_> = secrets(3).iter().map(SecretKey::public).collect();
        let all = KeySum::of(keys.iter());
        assert_eq!(all.without(&all), KeySum::of([].into_iter()));
        let signature = secrets(1)[0].sign(&[7; 32], Purpose::Vote);
        let sum = Bls12381::summed([signature].iter(), &KeySum::default());
        assert!(Bls12381::verified(&sum, &Message::new(&[7; 32], Purpose::Vote)).is_none());
    }
}
