//! Messages between peers: SSZ, every one with a version.
//!
//! A message is one version byte, then the SSZ encoding of its type; the topic or protocol it came by says which type.
//! Every list has a bound that the decoder enforces before it allocates, and a whole message is bounded by the
//! transport. What decodes is well-formed, not true: [`crate::proposal::ProposedBatch::check`] and the vote's screening
//! come after.

mod proposal;
mod split;
mod vote;

pub use proposal::{decode_batch, encode_batch};
pub use split::Split;
pub use vote::Vote;

/// The version that this code speaks; another one is refused, with both numbers in the error.
pub const VERSION: u8 = 2;

/// Why bytes are no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Nothing there.
    #[error("the message is empty")]
    Empty,
    /// Another version than ours.
    #[error("the message has version {found}, this node speaks version {VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// Not the SSZ encoding of this type, or a list beyond its bound.
    #[error("the message is not well-formed: {0}")]
    Malformed(String),
    /// A field whose value is outside its range.
    #[error("the message's field {field} is out of range")]
    Range {
        /// The field.
        field: &'static str,
    },
}

impl From<ssz::DecodeError> for WireError {
    fn from(error: ssz::DecodeError) -> Self {
        Self::Malformed(format!("{error:?}"))
    }
}

fn versioned(encode: &impl ssz::Encode) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + encode.ssz_bytes_len());
    bytes.push(VERSION);
    encode.ssz_append(&mut bytes);
    bytes
}

fn unversioned(bytes: &[u8]) -> Result<&[u8], WireError> {
    match bytes.split_first() {
        None => Err(WireError::Empty),
        Some((&VERSION, rest)) => Ok(rest),
        Some((&found, _)) => Err(WireError::Version { found }),
    }
}

#[cfg(test)]
mod tests;
