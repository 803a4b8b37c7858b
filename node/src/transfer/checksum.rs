//! The checksum that every batch of a pull carries.

use super::exchange::KeyAndState;

/// The CRC-32 over keys and states in order, each preceded by its length (u32, big endian).
pub fn checksum(entries: &[KeyAndState]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for (key, state) in entries {
        for part in [key.as_bytes(), state] {
            hasher.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            hasher.update(part);
        }
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::store::DataKey;

    #[test]
    fn a_byte_that_moves_from_key_to_state_changes_the_checksum() {
        let entry = |key: &'static [u8], state: &'static [u8]| {
            vec![(DataKey::of(key).unwrap(), Bytes::from_static(state))]
        };
        assert_ne!(checksum(&entry(b"ab", b"c")), checksum(&entry(b"a", b"bc")));
        assert_ne!(checksum(&entry(b"a", b"b")), checksum(&entry(b"a", b"c")));
    }
}
