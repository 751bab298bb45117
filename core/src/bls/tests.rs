#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use proptest::prelude::*;

const DIGEST: [u8; 32] = [7; 32];

fn key(seed: u8) -> SecretKey {
    SecretKey::derive(&[seed; 32]).unwrap()
}

#[test]
fn a_signature_is_good_for_its_purpose_only() {
    let secret = key(1);
    let signature = secret.sign(&DIGEST, Purpose::Vote);
    assert!(signature.verify(&secret.public(), &DIGEST, Purpose::Vote));
    for purpose in [Purpose::Possession, Purpose::Peer, Purpose::Internal] {
        assert!(!signature.verify(&secret.public(), &DIGEST, purpose));
    }
    assert!(!signature.verify(&key(2).public(), &DIGEST, Purpose::Vote));
}

#[test]
fn a_sum_of_honest_votes_is_one_signature_and_one_bad_vote_spoils_it() {
    let mut sum = SignatureSum::default();
    assert!(sum.verified(&DIGEST, Purpose::Vote).is_none(), "an empty sum proves nothing");
    for seed in 1..=5 {
        sum.add(&key(seed).sign(&DIGEST, Purpose::Vote), &key(seed).public());
    }
    assert!(sum.verified(&DIGEST, Purpose::Vote).is_some());
    sum.add(&key(6).sign(&[8; 32], Purpose::Vote), &key(6).public());
    assert!(sum.verified(&DIGEST, Purpose::Vote).is_none());
}

#[test]
fn infinity_is_neither_key_nor_signature() {
    let mut signature = [0; 96];
    signature[0] = 0x40;
    assert!(Signature::from_bytes(&signature).is_none());
    let mut key = [0; 192];
    key[0] = 0x40;
    assert_eq!(PublicKey::from_bytes(&key), Err(KeyError::Public));
    let mut compressed = [0; 96];
    compressed[0] = 0xc0;
    assert_eq!(PublicKey::from_bytes(&compressed), Err(KeyError::Public));
    assert_eq!(PublicKey::from_eip2537(&[0; 256]), Err(KeyError::Public));
}

#[test]
fn a_secret_key_never_prints() {
    let secret = key(9);
    assert_eq!(format!("{secret:?}"), "SecretKey(redacted)");
}

proptest! {
    #[test]
    fn keys_and_signatures_survive_every_encoding(seed: [u8; 32]) {
        let secret = SecretKey::derive(&seed).unwrap();
        let public = secret.public();
        prop_assert_eq!(PublicKey::from_bytes(&public.to_bytes()).unwrap(), public);
        prop_assert_eq!(PublicKey::from_eip2537(&public.to_eip2537()).unwrap(), public);
        let signature = secret.sign(&seed, Purpose::Vote);
        prop_assert_eq!(Signature::from_bytes(&signature.to_bytes()).unwrap(), signature);
    }

    #[test]
    fn arbitrary_bytes_are_refused_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(PublicKey::from_bytes(&bytes).is_err());
        prop_assert!(PublicKey::from_eip2537(&bytes).is_err());
        if let Ok(array) = <[u8; 96]>::try_from(bytes.as_slice()) {
            let _parsed = Signature::from_bytes(&array);
        }
    }
}
