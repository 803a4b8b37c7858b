//! Values that describe themselves: which write of which key they are, and which earlier writes that one had seen.

use bytes::{BufMut, Bytes, BytesMut};

const MAGIC: &[u8; 4] = b"DLV1";
/// Length of everything but the padding: the shortest value that can be asked for.
pub const HEADER: usize = 40;

/// What a value says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The task that wrote it.
    pub writer: u32,
    /// The key.
    pub index: u64,
    /// Which write of the key: 1 for the first attempt, one more for each further one, successful or not.
    pub sequence: u64,
    /// Every acknowledged write of the key up to this sequence was covered by the context that this one was written
    /// with; 0 if none was.
    pub covers: u64,
}

/// Why bytes are no value of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Too short, or another program's.
    #[error("not a value of dynamo-load")]
    Foreign,
    /// The checksum is not that of the bytes: they were changed on the way, or on a disk.
    #[error("the checksum does not match")]
    Corrupt,
}

impl Mark {
    /// A value of `length` bytes, or [`HEADER`] if that is more. The padding is different for every write and does not
    /// compress, so that bytes moved mean bytes written.
    pub fn value(&self, length: usize) -> Bytes {
        let length = length.max(HEADER);
        let mut out = BytesMut::with_capacity(length);
        out.put_slice(MAGIC);
        out.put_u32(self.writer);
        out.put_u64(self.index);
        out.put_u64(self.sequence);
        out.put_u64(self.covers);
        let mut state = self.index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.sequence.rotate_left(32) | 1;
        while out.len() + 4 < length {
            // xorshift64: fast, and nobody's secret.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let bytes = state.to_be_bytes();
            let take = bytes.len().min(length - 4 - out.len());
            out.put_slice(&bytes[..take]);
        }
        out.put_u32(crc32fast::hash(&out));
        out.freeze()
    }

    /// Reads a value.
    pub fn read(value: &[u8]) -> Result<Self, ValueError> {
        let body = value.strip_prefix(MAGIC).filter(|_| value.len() >= HEADER).ok_or(ValueError::Foreign)?;
        let (said, sum) = value.split_at(value.len() - 4);
        if crc32fast::hash(said).to_be_bytes() != sum {
            return Err(ValueError::Corrupt);
        }
        let word = |at: usize| body[at..].first_chunk().map_or(0, |chunk| u64::from_be_bytes(*chunk));
        let writer = body.first_chunk().map_or(0, |chunk| u32::from_be_bytes(*chunk));
        Ok(Self { writer, index: word(4), sequence: word(12), covers: word(20) })
    }
}

/// The name of key `index` under `prefix`.
pub fn key(prefix: &str, index: u64) -> String {
    format!("{prefix}{index:08}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { writer: 3, index: 77, sequence: 9, covers: 7 };

    #[test]
    fn a_value_of_any_length_says_what_it_is() {
        for length in [0, HEADER, HEADER + 1, HEADER + 7, 1024, 100_000] {
            let value = MARK.value(length);
            assert_eq!(value.len(), length.max(HEADER));
            assert_eq!(Mark::read(&value), Ok(MARK));
        }
    }

    #[test]
    fn one_bit_flipped_anywhere_is_noticed() {
        let value = MARK.value(64);
        for at in 0..value.len() {
            let mut bad = value.to_vec();
            bad[at] ^= 1;
            assert!(Mark::read(&bad).is_err(), "byte {at}");
        }
        assert_eq!(Mark::read(&value[..HEADER - 1]), Err(ValueError::Foreign));
        assert_eq!(Mark::read(b""), Err(ValueError::Foreign));
    }

    #[test]
    fn two_writes_have_different_padding() {
        let other = Mark { sequence: 10, ..MARK }.value(256);
        assert_ne!(MARK.value(256)[HEADER..200], other[HEADER..200]);
    }
}
