//! The leading hex digits of a position: the name of a trie node.

use std::fmt;

use dynamo_ring::{Partition, Partitions, Position};

/// Hex digits in a position.
pub const DIGITS: u8 = 32;

/// The first `len` hex digits of a position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// Zero beyond the length.
    digits: [u8; 16],
    len: u8,
}

/// Bytes that name no prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the encoding of a trie prefix")]
pub struct PrefixError;

impl Prefix {
    /// The first `len` digits of `position`; all of them if there are fewer.
    pub fn of(position: Position, len: u8) -> Self {
        let len = len.min(DIGITS);
        // 128 bits cannot be shifted out at once.
        let kept = u128::MAX.checked_shl(128 - 4 * u32::from(len)).unwrap_or(0);
        Self { digits: (u128::from_be_bytes(position.0) & kept).to_be_bytes(), len }
    }

    /// Where the trie of `partition`, of `q`, has its root.
    pub fn root(partition: Partition, q: Partitions) -> Self {
        // At most 12 bits name a partition, so at most 3 digits.
        let shared = q.bits() / 4;
        Self::of(q.token(partition), shared.to_le_bytes()[0])
    }

    /// How many digits it has.
    pub const fn len(self) -> u8 {
        self.len
    }

    /// Whether it has no digits.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The digit of `position` that follows this prefix; zero after the last.
    pub fn next_digit(self, position: Position) -> u8 {
        digit(&position.0, self.len)
    }

    /// Its own digit number `at`, from zero; zero beyond its length.
    pub fn digit(self, at: u8) -> u8 {
        digit(&self.digits, at)
    }

    /// This prefix and one digit more; `None` at the full length.
    #[must_use]
    pub fn child(self, digit: u8) -> Option<Self> {
        let mut child = self;
        let byte = child.digits.get_mut(usize::from(self.len / 2))?;
        *byte |= if self.len.is_multiple_of(2) { digit << 4 } else { digit & 0x0f };
        child.len += 1;
        Some(child)
    }

    /// Whether `position` begins with it.
    pub fn contains(self, position: Position) -> bool {
        Self::of(position, self.len) == self
    }

    /// Whether every position below `other` is below this.
    pub fn covers(self, other: Self) -> bool {
        other.len >= self.len && self.contains(Position(other.digits))
    }

    /// For the wire and for store keys: the length, then the digits, two to a byte. Shorter prefixes sort first.
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(17);
        out.push(self.len);
        out.extend_from_slice(&self.digits[..usize::from(self.len.div_ceil(2))]);
        out
    }

    /// What [`Prefix::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, PrefixError> {
        let (&len, digits) = bytes.split_first().ok_or(PrefixError)?;
        if len > DIGITS || digits.len() != usize::from(len.div_ceil(2)) {
            return Err(PrefixError);
        }
        let mut all = [0; 16];
        all[..digits.len()].copy_from_slice(digits);
        let prefix = Self { digits: all, len };
        if prefix.contains(Position(all)) { Ok(prefix) } else { Err(PrefixError) }
    }
}

fn digit(bytes: &[u8; 16], at: u8) -> u8 {
    let Some(byte) = bytes.get(usize::from(at / 2)) else { return 0 };
    if at.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", u128::from_be_bytes(self.digits));
        write!(f, "Prefix({}*)", &digits[..usize::from(self.len)])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_root_has_the_digits_that_a_partition_fixes() {
        let q = |n| Partitions::new(n).unwrap();
        assert_eq!(format!("{:?}", Prefix::root(Partition(0xab), q(256))), "Prefix(ab*)");
        assert_eq!(format!("{:?}", Prefix::root(Partition(5), q(8))), "Prefix(*)");
        assert_eq!(format!("{:?}", Prefix::root(Partition(0x1ff), q(512))), "Prefix(ff*)");
        assert_eq!(format!("{:?}", Prefix::root(Partition(0xabc), q(4096))), "Prefix(abc*)");
    }

    proptest! {
        #[test]
        fn digits_spell_the_position(bytes: [u8; 16], len in 0u8..=32) {
            let position = Position(bytes);
            let mut spelt = Prefix::of(position, 0);
            for _ in 0..len {
                spelt = spelt.child(spelt.next_digit(position)).unwrap();
            }
            prop_assert_eq!(spelt, Prefix::of(position, len));
            prop_assert!(spelt.contains(position));
            prop_assert_eq!(Prefix::decode(&spelt.encode()), Ok(spelt));
            prop_assert_eq!(spelt.child(0).is_none(), len == 32);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            if let Ok(prefix) = Prefix::decode(&bytes) {
                prop_assert_eq!(prefix.encode(), bytes);
            }
        }
    }
}
