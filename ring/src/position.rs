//! Where a key lies on the ring.
//!
//! The ring is the 2^128 positions, cut into Q equal arcs, the *partitions*. Q is a power of two, so a position's
//! partition is its top log2 Q bits. A partition's first position is its *token*.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A place on the ring: the first 128 bits of a key's SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub [u8; 16]);

impl Position {
    /// Where `key` lies.
    pub fn of(key: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let [first @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest;
        Self(first)
    }

    /// The raw bytes, most significant first, so that they sort as positions do.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The partition this position falls into, of `q` in all.
    pub const fn partition(self, q: Partitions) -> Partition {
        // Q is at most 4096, so the first 16 bits hold all that is asked for.
        Partition(u16::from_be_bytes([self.0[0], self.0[1]]) >> (16 - q.bits()))
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Position({:032x})", u128::from_be_bytes(self.0))
    }
}

/// One arc of the ring, counted from position zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(pub u16);

impl Partition {
    /// As an index into a table with a row per partition.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Q, the number of partitions: a power of two in 8..=4096, fixed for a cluster's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Partitions(u16);

/// Why a number cannot be Q.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionsError {
    /// Too few to balance, or so many that a layout no longer fits its document.
    #[error("{0} partitions: between {min} and {max} are possible", min = Partitions::MIN, max = Partitions::MAX)]
    OutOfRange(u32),
    /// Partitions are named by leading bits.
    #[error("{0} partitions: a power of two is needed")]
    NotAPowerOfTwo(u32),
}

impl Partitions {
    /// The fewest.
    pub const MIN: u16 = 8;
    /// The most.
    pub const MAX: u16 = 4096;

    /// `count` partitions, if that is a power of two within the limits.
    pub fn new(count: u32) -> Result<Self, PartitionsError> {
        match u16::try_from(count) {
            Ok(q) if (Self::MIN..=Self::MAX).contains(&q) => {
                if q.is_power_of_two() {
                    Ok(Self(q))
                } else {
                    Err(PartitionsError::NotAPowerOfTwo(count))
                }
            }
            _ => Err(PartitionsError::OutOfRange(count)),
        }
    }

    /// Q.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Q, as a length.
    pub const fn count(self) -> usize {
        self.0 as usize
    }

    /// log2 Q.
    pub const fn bits(self) -> u32 {
        self.0.trailing_zeros()
    }

    /// Whether `partition` is one of these.
    pub const fn contains(self, partition: Partition) -> bool {
        partition.0 < self.0
    }

    /// Every partition, in ring order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Partition> + ExactSizeIterator + Clone {
        (0..self.0).map(Partition)
    }

    /// The first and the last position of `partition`, both inclusive. The first is its token.
    pub const fn range(self, partition: Partition) -> (Position, Position) {
        let shift = 128 - self.bits();
        // A partition beyond Q wraps round the ring, as positions do.
        let first = ((partition.0 & (self.0 - 1)) as u128) << shift;
        let last = first | ((1 << shift) - 1);
        (Position(first.to_be_bytes()), Position(last.to_be_bytes()))
    }

    /// The first position of `partition`.
    pub const fn token(self, partition: Partition) -> Position {
        self.range(partition).0
    }
}

impl TryFrom<u32> for Partitions {
    type Error = PartitionsError;

    fn try_from(count: u32) -> Result<Self, PartitionsError> {
        Self::new(count)
    }
}

impl From<Partitions> for u32 {
    fn from(q: Partitions) -> u32 {
        q.0.into()
    }
}

impl fmt::Display for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sizes() -> impl Strategy<Value = Partitions> {
        (3u32..=12).prop_map(|bits| Partitions::new(1 << bits).unwrap())
    }

    #[test]
    fn positions_are_the_published_sha256_vectors() {
        // FIPS 180-4 examples: the empty message, "abc", and the two-block message.
        let known: [(&[u8], u128); 3] = [
            (b"", 0xe3b0_c442_98fc_1c14_9afb_f4c8_996f_b924),
            (b"abc", 0xba78_16bf_8f01_cfea_4141_40de_5dae_2223),
            (
                b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                0x248d_6a61_d206_38b8_e5c0_2693_0c3e_6039,
            ),
        ];
        for (key, position) in known {
            assert_eq!(Position::of(key), Position(position.to_be_bytes()));
        }
        let q = Partitions::new(256).unwrap();
        assert_eq!(Position::of(b"abc").partition(q), Partition(0xba));
        assert_eq!(Position::of(b"abc").partition(Partitions::new(4096).unwrap()), Partition(0xba7));
        assert_eq!(Position::of(b"abc").partition(Partitions::new(8).unwrap()), Partition(0b101));
    }

    #[test]
    fn only_powers_of_two_within_the_limits_count() {
        for q in 0..70_000_u32 {
            let possible = (8..=4096).contains(&q) && q.is_power_of_two();
            assert_eq!(Partitions::new(q).is_ok(), possible, "{q}");
        }
        assert_eq!(
            Partitions::new(4).unwrap_err().to_string(),
            "4 partitions: between 8 and 4096 are possible"
        );
        assert_eq!(Partitions::new(100).unwrap_err().to_string(), "100 partitions: a power of two is needed");
        assert!(serde_json::from_str::<Partitions>("100").is_err());
        assert_eq!(serde_json::to_string(&Partitions::new(64).unwrap()).unwrap(), "64");
    }

    proptest! {
        #[test]
        fn a_position_lies_in_its_partitions_range(bytes: [u8; 16], q in sizes()) {
            let position = Position(bytes);
            let (first, last) = q.range(position.partition(q));
            prop_assert!(first <= position && position <= last);
        }

        #[test]
        fn the_ranges_tile_the_ring(q in sizes()) {
            let mut next = Some(0u128);
            for partition in q.iter() {
                let (first, last) = q.range(partition);
                prop_assert_eq!(Some(u128::from_be_bytes(first.0)), next);
                prop_assert_eq!(first.partition(q), partition);
                prop_assert_eq!(last.partition(q), partition);
                next = u128::from_be_bytes(last.0).checked_add(1);
            }
            prop_assert_eq!(next, None, "the last partition ends the ring");
        }
    }
}
