//! A message on the curve: hashed once, however many sums are checked against it.

use blst::{blst_p1, blst_p1_affine};

use super::Purpose;

/// A digest, hashed to G1 under a purpose's tag (RFC 9380; 54 us, a sixth of a check).
#[derive(Clone, Copy, Debug)]
pub struct Message(pub(super) blst_p1_affine);

impl Message {
    /// Hashes a digest to the curve.
    #[must_use]
    pub fn new(digest: &[u8; 32], purpose: Purpose) -> Self {
        let tag = purpose.tag();
        let (mut point, mut affine) = (blst_p1::default(), blst_p1_affine::default());
        // SAFETY: blst reads `digest` and `tag` within the lengths given, reads no augmentation (its length is zero), and
        // writes one point to each of the two places.
        unsafe {
            blst::blst_hash_to_g1(
                &mut point,
                digest.as_ptr(),
                digest.len(),
                tag.as_ptr(),
                tag.len(),
                std::ptr::null(),
                0,
            );
            blst::blst_p1_to_affine(&mut affine, &point);
        }
        Self(affine)
    }
}
