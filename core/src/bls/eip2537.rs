//! Between the plain uncompressed encodings and those of EIP-2537: field elements padded to 64 bytes, and the two parts
//! of a G2 coordinate in ascending order, where the plain (ZCash) encoding puts the higher part first.

const FIELD: usize = 48;
const PADDED: usize = 64;

/// A G1 point of 96 bytes as EIP-2537's 128.
pub fn g1(plain: &[u8; 96]) -> [u8; 128] {
    let mut padded = [0; 128];
    pad(plain, &mut padded, &[0, 1]);
    padded
}

/// A G2 point of 192 bytes as EIP-2537's 256.
pub fn g2(plain: &[u8; 192]) -> [u8; 256] {
    let mut padded = [0; 256];
    pad(plain, &mut padded, &[1, 0, 3, 2]);
    padded
}

/// A G2 point of EIP-2537's 256 bytes as the plain 192; `None` when the padding is not zero.
pub fn g2_plain(padded: &[u8; 256]) -> Option<[u8; 192]> {
    let mut plain = [0; 192];
    for (to, from) in [1, 0, 3, 2].into_iter().enumerate() {
        let (zeros, element) = padded[from * PADDED..(from + 1) * PADDED].split_at(PADDED - FIELD);
        if zeros.iter().any(|byte| *byte != 0) {
            return None;
        }
        plain[to * FIELD..(to + 1) * FIELD].copy_from_slice(element);
    }
    Some(plain)
}

fn pad(plain: &[u8], padded: &mut [u8], order: &[usize]) {
    for (to, from) in order.iter().enumerate() {
        let element = &plain[from * FIELD..(from + 1) * FIELD];
        padded[to * PADDED + PADDED - FIELD..(to + 1) * PADDED].copy_from_slice(element);
    }
}
