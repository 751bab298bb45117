//! Frames on a request's stream: a length in four bytes (big endian), then that many bytes.
//!
//! The length is compared with the protocol's bound before a byte is allocated for it, and memory then grows with what
//! really arrives: a peer that announces much and sends little costs little.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response;

/// Memory taken for a frame before its bytes arrive.
const FIRST_CHUNK: usize = 8 * 1024;

/// The codec of all our request protocols; they differ in their bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameCodec {
    /// Largest request, in bytes.
    pub max_request: usize,
    /// Largest response, in bytes.
    pub max_response: usize,
}

/// Reads one frame of at most `max` bytes.
pub(super) async fn read_frame<T: AsyncRead + Unpin + Send>(io: &mut T, max: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > max {
        let text = format!("a frame of {length} bytes, more than the {max} allowed");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut bytes = Vec::with_capacity(length.min(FIRST_CHUNK));
    io.take(length as u64).read_to_end(&mut bytes).await?;
    if bytes.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

/// Writes one frame of at most `max` bytes.
pub(super) async fn write_frame<T: AsyncWrite + Unpin + Send>(io: &mut T, max: usize, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= max);
    let Some(length) = length else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a frame larger than its protocol allows"));
    };
    io.write_all(&length.to_be_bytes()).await?;
    io.write_all(bytes).await?;
    io.flush().await
}

impl request_response::Codec for FrameCodec {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, self.max_request).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, self.max_response).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, bytes: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, self.max_request, &bytes).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, bytes: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, self.max_response, &bytes).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use futures::io::Cursor;
    use proptest::prelude::*;

    #[test]
    fn a_hostile_length_is_refused_before_its_bytes_are_read() {
        // Nothing follows the length: had the codec believed it, the error would be an early end of stream.
        for length in [1025u32, 1 << 20, u32::MAX] {
            let mut io = Cursor::new(length.to_be_bytes().to_vec());
            let error = block_on(read_frame(&mut io, 1024)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        let mut io = Cursor::new(1024u32.to_be_bytes().to_vec());
        assert_eq!(block_on(read_frame(&mut io, 1024)).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn an_oversize_frame_is_not_written() {
        let mut io = Cursor::new(Vec::new());
        assert!(block_on(write_frame(&mut io, 3, b"four")).is_err());
        assert!(io.into_inner().is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_within_bounds(bytes in proptest::collection::vec(any::<u8>(), 0..4096), max in 0usize..2048) {
            if let Ok(frame) = block_on(read_frame(&mut Cursor::new(&bytes), max)) {
                prop_assert!(frame.len() <= max);
                prop_assert_eq!(&frame[..], &bytes[4..4 + frame.len()]);
                prop_assert!(frame.capacity() <= max.max(FIRST_CHUNK) * 2);
            }
        }

        #[test]
        fn what_is_written_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..20_000)) {
            let mut io = Cursor::new(Vec::new());
            block_on(write_frame(&mut io, 20_000, &bytes)).unwrap();
            io.set_position(0);
            prop_assert_eq!(block_on(read_frame(&mut io, 20_000)).unwrap(), bytes);
        }
    }
}
