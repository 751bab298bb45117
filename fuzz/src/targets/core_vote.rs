//! A vote on the wire, and the point it carries.
use crate::golden;
use ditto_core::bls::{Purpose, SecretKey, Signature};
use ditto_core::verdict::VerdictVector;
use ditto_core::wire::Vote;

/// The golden votes, also with a signature that is a point.
pub fn examples() -> Vec<Vec<u8>> {
    let point = SecretKey::derive(&[1; 32]).map(|secret| secret.sign(&[2; 32], Purpose::Vote).to_bytes());
    let signed = golden("vote").into_iter().filter_map(|bytes| {
        let vote = Vote::decode(&bytes).ok()?;
        Vote { signature: point.clone().ok()?, ..vote }.encode().ok()
    });
    golden("vote").into_iter().chain(signed).collect()
}

pub fn run(data: &[u8]) {
    let Ok(vote) = Vote::decode(data) else { return };
    assert_eq!(vote.encode().as_deref(), Ok(data), "one vote, one encoding");
    assert_eq!(VerdictVector::from_bytes(&vote.verdicts.bytes()).as_ref(), Some(&vote.verdicts));
    if let Some(point) = Signature::from_bytes(&vote.signature) {
        assert_eq!(point.to_bytes(), vote.signature, "one point, one encoding");
    }
}
