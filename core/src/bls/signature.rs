//! Signatures and their sums.

use blst::{Pairing, blst_fp12, blst_p1, blst_p1_affine, blst_p2, blst_p2_affine, min_sig as blst_sig};

use super::{KeySum, Message, PublicKey, Purpose, eip2537};

/// A point that claims to be a signature. It is on the curve; whether it lies in the right subgroup is checked where the
/// sum that holds it is checked, once for all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(blst_sig::Signature);

impl Signature {
    pub(super) fn from_point(point: blst_sig::Signature) -> Self {
        Self(point)
    }

    /// A signature from its 96 uncompressed bytes. `None` when that is no point of the curve, or infinity.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 96]) -> Option<Self> {
        let point = blst_sig::Signature::deserialize(bytes).ok()?;
        // Bit 6 of the first byte is the encoding's flag for infinity.
        (bytes[0] & 0x40 == 0).then_some(Self(point))
    }

    /// The 96 uncompressed bytes: cheapest to read (0.24 us against 14 us compressed).
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 96] {
        self.0.serialize()
    }

    /// The contract's 128 bytes.
    #[must_use]
    pub fn to_eip2537(&self) -> [u8; 128] {
        eip2537::g1(&self.0.serialize())
    }

    /// Whether this is `key`'s signature of `digest`. Checks the subgroup.
    #[must_use]
    pub fn verify(&self, key: &PublicKey, digest: &[u8; 32], purpose: Purpose) -> bool {
        self.0.verify(true, digest, purpose.tag(), &[], &key.0, false) == blst::BLST_ERROR::BLST_SUCCESS
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.to_bytes();
        write!(f, "Signature({:02x}{:02x}{:02x}{:02x}..)", bytes[0], bytes[1], bytes[2], bytes[3])
    }
}

/// A running sum of signatures of one digest, with the sum of their keys.
#[derive(Clone, Default)]
pub struct SignatureSum {
    points: Option<(blst_sig::AggregateSignature, blst_sig::AggregatePublicKey)>,
}

impl SignatureSum {
    /// Adds a signature and its key: two point additions.
    pub fn add(&mut self, signature: &Signature, key: &PublicKey) {
        match &mut self.points {
            // Without the subgroup check, adding cannot fail.
            Some((signatures, keys)) => {
                let _added =
                    signatures.add_signature(&signature.0, false).is_ok() && keys.add_public_key(&key.0, false).is_ok();
                debug_assert!(_added, "adding without a group check does not fail");
            }
            None => {
                self.points = Some((
                    blst_sig::AggregateSignature::from_signature(&signature.0),
                    blst_sig::AggregatePublicKey::from_public_key(&key.0),
                ));
            }
        }
    }

    /// The sum of these signatures, with the sum of their keys, which may have been reckoned otherwise than one by one.
    pub fn of<'a>(signatures: impl Iterator<Item = &'a Signature>, keys: &KeySum) -> Self {
        let mut sum: Option<blst_sig::AggregateSignature> = None;
        for signature in signatures {
            match &mut sum {
                Some(sum) => {
                    let _added = sum.add_signature(&signature.0, false).is_ok();
                    debug_assert!(_added, "adding without a group check does not fail");
                }
                None => sum = Some(blst_sig::AggregateSignature::from_signature(&signature.0)),
            }
        }
        Self { points: sum.map(|sum| (sum, keys.point().into())) }
    }

    /// One signature and its key, both times `weight` (which must not be zero).
    #[must_use]
    pub fn weighted(signature: &Signature, key: &PublicKey, weight: u16) -> Self {
        let (signature, key): (blst_p1_affine, blst_p2_affine) = (signature.0.into(), key.0.into());
        let (mut point, mut key_point) = (blst_p1::default(), blst_p2::default());
        let (mut product, mut key_product) = (blst_p1::default(), blst_p2::default());
        let scalar = weight.to_le_bytes();
        // SAFETY: every pointer is to a value that lives through the call; the scalar has the 16 bits that are read.
        unsafe {
            blst::blst_p1_from_affine(&mut point, &signature);
            blst::blst_p1_mult(&mut product, &point, scalar.as_ptr(), 16);
            blst::blst_p2_from_affine(&mut key_point, &key);
            blst::blst_p2_mult(&mut key_product, &key_point, scalar.as_ptr(), 16);
        }
        Self { points: Some((product.into(), key_product.into())) }
    }

    /// Adds another sum.
    pub fn join(&mut self, other: &Self) {
        match (&mut self.points, &other.points) {
            (Some((signatures, keys)), Some((more_signatures, more_keys))) => {
                signatures.add_aggregate(more_signatures);
                keys.add_aggregate(more_keys);
            }
            (None, Some(points)) => self.points = Some(*points),
            (_, None) => {}
        }
    }

    /// The sum as one signature, when it is a signature of `digest` under the sum of the keys: one check of two pairings
    /// and one of the subgroup. An empty sum, or one that is infinity, is none.
    #[must_use]
    pub fn verified(&self, digest: &[u8; 32], purpose: Purpose) -> Option<Signature> {
        self.verified_as(&Message::new(digest, purpose))
    }

    /// As [`Self::verified`], for a digest that was hashed before.
    #[must_use]
    pub fn verified_as(&self, message: &Message) -> Option<Signature> {
        let (signatures, keys) = self.points.as_ref()?;
        let (signature, key) = (signatures.to_signature(), keys.to_public_key());
        // Not infinity, and in the subgroup. The keys' subgroup was checked when they were read.
        signature.validate(true).ok()?;
        let (point, key): (blst_p1_affine, blst_p2_affine) = (signature.into(), key.into());
        // SAFETY: a point on the stack is read.
        if unsafe { blst::blst_p2_affine_is_inf(&key) } {
            return None;
        }
        // e(message, key) = e(signature, generator), on this thread: blst's own call goes by way of its thread pool.
        let mut signed = blst_fp12::default();
        Pairing::aggregated(&mut signed, &point);
        let sound = blst_fp12::finalverify(&blst_fp12::miller_loop(&key, &message.0), &signed);
        sound.then_some(Signature(signature))
    }
}
