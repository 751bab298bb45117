//! The signature scheme as the pipelines see it.

use super::{KeySum, Message, PublicKey, Purpose, SecretKey, Signature, SignatureSum};

/// An aggregatable signature scheme. Stages are written against this, not against a curve.
pub trait Scheme: Send + Sync + 'static {
    /// A validated public key.
    type Key: Clone + Send + Sync + 'static;
    /// A secret key.
    type Secret: Clone + Send + Sync + 'static;
    /// A signature, parsed but not yet checked.
    type Signature: Clone + Send + Sync + 'static;
    /// A digest that was prepared for any number of checks.
    type Message: Clone + Send + Sync + 'static;
    /// A sum of signatures of one digest and of their keys.
    type Sum: Default + Clone + Send + 'static;

    /// Parses a signature from the wire.
    fn parse(bytes: &[u8; 96]) -> Option<Self::Signature>;
    /// Signs a digest.
    fn sign(secret: &Self::Secret, digest: &[u8; 32], purpose: Purpose) -> Self::Signature;
    /// Checks one signature alone: only this may blame.
    fn verify(signature: &Self::Signature, key: &Self::Key, digest: &[u8; 32], purpose: Purpose) -> bool;
    /// Adds to a sum.
    fn add(sum: &mut Self::Sum, signature: &Self::Signature, key: &Self::Key);
    /// The sum of these signatures with these keys' sum.
    fn summed<'a>(signatures: impl Iterator<Item = &'a Self::Signature>, keys: &KeySum) -> Self::Sum;
    /// Prepares a digest.
    fn message(digest: &[u8; 32], purpose: Purpose) -> Self::Message;
    /// A vote times a weight: in a sum of such, errors of different votes do not cancel.
    fn weighted(signature: &Self::Signature, key: &Self::Key, weight: u16) -> Self::Sum;
    /// Two sums in one.
    fn join(left: &Self::Sum, right: &Self::Sum) -> Self::Sum;
    /// Checks a sum, and gives it as one signature.
    fn verified(sum: &Self::Sum, message: &Self::Message) -> Option<Self::Signature>;
}

/// BLS12-381 with signatures in G1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bls12381;

impl Scheme for Bls12381 {
    type Key = PublicKey;
    type Secret = SecretKey;
    type Signature = Signature;
    type Message = Message;
    type Sum = SignatureSum;

    fn parse(bytes: &[u8; 96]) -> Option<Signature> {
        Signature::from_bytes(bytes)
    }

    fn sign(secret: &SecretKey, digest: &[u8; 32], purpose: Purpose) -> Signature {
        secret.sign(digest, purpose)
    }

    fn verify(signature: &Signature, key: &PublicKey, digest: &[u8; 32], purpose: Purpose) -> bool {
        signature.verify(key, digest, purpose)
    }

    fn add(sum: &mut SignatureSum, signature: &Signature, key: &PublicKey) {
        sum.add(signature, key);
    }

    fn summed<'a>(signatures: impl Iterator<Item = &'a Signature>, keys: &KeySum) -> SignatureSum {
        SignatureSum::of(signatures, keys)
    }

    fn message(digest: &[u8; 32], purpose: Purpose) -> Message {
        Message::new(digest, purpose)
    }

    fn weighted(signature: &Signature, key: &PublicKey, weight: u16) -> SignatureSum {
        SignatureSum::weighted(signature, key, weight)
    }

    fn join(left: &SignatureSum, right: &SignatureSum) -> SignatureSum {
        let mut sum = left.clone();
        sum.join(right);
        sum
    }

    fn verified(sum: &SignatureSum, message: &Message) -> Option<Signature> {
        sum.verified_as(message)
    }
}
