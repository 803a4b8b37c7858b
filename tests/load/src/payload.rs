//! Values that say which write they are: number, key, filler, checksum.

use bytes::{BufMut, Bytes, BytesMut};

/// The smallest value that holds number, lengths and checksum beside the key.
pub const OVERHEAD: usize = 8 + 2 + 4;

/// Makes the value of write `number` of `key`, `size` bytes long, or as long as it must be to name its key.
///
/// The filler does not compress, so that what is stored is what was asked for.
pub fn make(key: &[u8], number: u64, size: usize) -> Bytes {
    let key_length = u16::try_from(key.len()).unwrap_or(u16::MAX);
    let key = &key[..usize::from(key_length)];
    let mut value = BytesMut::with_capacity(size.max(OVERHEAD + key.len()));
    value.put_u64(number);
    value.put_u16(key_length);
    value.put_slice(key);
    let mut noise = number ^ u64::from(crc32fast::hash(key)) << 32 | 1;
    while value.len() + 4 < size {
        // Xorshift: any sequence without structure will do.
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        let room = (size - 4 - value.len()).min(8);
        value.put_slice(&noise.to_be_bytes()[..room]);
    }
    let sum = crc32fast::hash(&value);
    value.put_u32(sum);
    value.freeze()
}

/// The number of the write that made `value`, if it is a whole value of `key`.
pub fn number(key: &[u8], value: &[u8]) -> Option<u64> {
    let (body, sum) = value.split_last_chunk::<4>()?;
    let (number, rest) = body.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let named = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
    (named == key && crc32fast::hash(body) == u32::from_be_bytes(*sum)).then(|| u64::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_names_its_write_and_has_the_size_asked_for() {
        for size in [0, 20, 27, 1024] {
            let value = make(b"key-1", 7, size);
            assert_eq!(value.len(), size.max(OVERHEAD + 5));
            assert_eq!(number(b"key-1", &value), Some(7));
        }
    }

    #[test]
    fn another_keys_value_or_a_damaged_one_is_no_value() {
        let value = make(b"key-1", 7, 100);
        assert_eq!(number(b"key-2", &value), None);
        for at in 0..value.len() {
            let mut damaged = value.to_vec();
            damaged[at] ^= 1;
            assert_eq!(number(b"key-1", &damaged), None, "byte {at}");
        }
        assert_eq!(number(b"key-1", b""), None);
    }
}
