//! Frames on a child's socket: four bytes of length (little endian, tag included), one byte of tag, the payload.
//!
//! The host reads them from processes that a stranger may control: the length is checked before anything is allocated,
//! and half a frame waits without blocking anybody.

use thiserror::Error;

const HEADER: usize = 4;

#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum FrameError {
    #[error("a frame of {length} bytes exceeds the bound of {bound}")]
    TooLong { length: usize, bound: usize },
    #[error("a frame without a tag")]
    Empty,
}

/// Appends a frame to `out`.
pub(crate) fn write(out: &mut Vec<u8>, tag: u8, parts: &[&[u8]]) {
    let length = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    // Every sender bounds its payload far below 4 GiB: by the limits in the child, by `read_answer_bytes` and
    // `code_bytes` in the host. Should one ever not, the saturated length is refused at the other end.
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    out.push(tag);
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Cuts a stream of bytes into frames.
pub(crate) struct Decoder {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were already handed out.
    taken: usize,
    /// Longest frame, tag included.
    bound: usize,
}

impl Decoder {
    pub(crate) fn new(bound: usize) -> Self {
        Decoder { buffer: Vec::new(), taken: 0, bound }
    }

    /// Adds what was read. Callers take all frames out between two reads, so the buffer never holds more than one
    /// unfinished frame and one read.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that are missing of the frame that has begun; 0 when it is whole or its length unknown.
    pub(crate) fn missing(&self) -> usize {
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let length = rest.first_chunk::<HEADER>().map_or(0, |header| HEADER + u32::from_le_bytes(*header) as usize);
        length.saturating_sub(rest.len())
    }

    /// The next whole frame, as tag and payload.
    pub(crate) fn next(&mut self) -> Result<Option<(u8, &[u8])>, FrameError> {
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let Some(header) = rest.first_chunk::<HEADER>() else { return Ok(None) };
        let length = u32::from_le_bytes(*header) as usize;
        if length == 0 {
            return Err(FrameError::Empty);
        }
        if length > self.bound {
            return Err(FrameError::TooLong { length, bound: self.bound });
        }
        if rest.len() < HEADER + length {
            return Ok(None);
        }
        let start = self.taken + HEADER;
        self.taken = start + length;
        let frame = self.buffer.get(start..self.taken).and_then(|frame| frame.split_first());
        Ok(frame.map(|(tag, payload)| (*tag, payload)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_before_it_allocates() {
        let mut decoder = Decoder::new(100);
        decoder.push(&u32::MAX.to_le_bytes());
        assert_eq!(decoder.next(), Err(FrameError::TooLong { length: u32::MAX as usize, bound: 100 }));
        let mut decoder = Decoder::new(100);
        decoder.push(&[0, 0, 0, 0]);
        assert_eq!(decoder.next(), Err(FrameError::Empty));
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..200)), 0..20), cut in 1usize..64) {
            let mut stream = Vec::new();
            for (tag, payload) in &frames {
                write(&mut stream, *tag, &[payload]);
            }
            let mut decoder = Decoder::new(1_000);
            let mut seen = Vec::new();
            for piece in stream.chunks(cut) {
                decoder.push(piece);
                while let Some((tag, payload)) = decoder.next().unwrap() {
                    seen.push((tag, payload.to_vec()));
                }
            }
            prop_assert_eq!(seen, frames);
        }

        #[test]
        fn garbage_never_panics_and_never_outgrows_the_bound(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..40)) {
            let mut decoder = Decoder::new(256);
            'pieces: for piece in &pieces {
                decoder.push(piece);
                loop {
                    match decoder.next() {
                        Ok(Some((_, payload))) => prop_assert!(payload.len() < 256),
                        Ok(None) => break,
                        Err(_) => break 'pieces,
                    }
                }
                prop_assert!(decoder.buffer.len() <= 256 + HEADER + piece.len());
            }
        }
    }
}
