//! Where everything lies.
//!
//! ```text
//! Data, Birth   position 16, user key                      so that a partition is one range
//! Merkle        partition u16 BE, prefix
//! Hint          0, target 16, since_ms u64 BE, data key     by target, the oldest first
//!               1, data key, target 16                      by key
//! Meta          see MetaKey
//! ```

use std::ops::Bound;

use bytes::{BufMut, Bytes, BytesMut};
use dynamo_ring::{NodeId, Partition, Partitions, Position};

use crate::merkle::Prefix;

/// The longest key a user may have.
pub const MAX_USER_KEY: usize = 4096;

/// Bytes that are no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Empty or too long.
    #[error("a key has 1 to {MAX_USER_KEY} bytes, not {0}")]
    Length(usize),
    /// A stored key whose position is not its own: a peer's mistake, or corruption.
    #[error("the key does not belong to its position")]
    Position,
}

/// A key as it lies in the store: its position, then the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataKey(Bytes);

impl DataKey {
    /// Where `user_key` lies.
    pub fn of(user_key: &[u8]) -> Result<Self, KeyError> {
        if user_key.is_empty() || user_key.len() > MAX_USER_KEY {
            return Err(KeyError::Length(user_key.len()));
        }
        let mut bytes = BytesMut::with_capacity(16 + user_key.len());
        bytes.put_slice(Position::of(user_key).as_bytes());
        bytes.put_slice(user_key);
        Ok(Self(bytes.freeze()))
    }

    /// A stored key from a peer: its position must be its own.
    pub fn from_peer(bytes: Bytes) -> Result<Self, KeyError> {
        let key = Self::from_store(bytes)?;
        if Position::of(key.user_key()) == key.position() { Ok(key) } else { Err(KeyError::Position) }
    }

    /// A key that this store wrote; only its length is looked at.
    pub(crate) fn from_store(bytes: Bytes) -> Result<Self, KeyError> {
        match bytes.len().saturating_sub(16) {
            1..=MAX_USER_KEY => Ok(Self(bytes)),
            length => Err(KeyError::Length(length)),
        }
    }

    /// The user's key.
    pub fn user_key(&self) -> &[u8] {
        &self.0[16..]
    }

    /// The user's key, sharing memory with this.
    pub fn to_user_key(&self) -> Bytes {
        self.0.slice(16..)
    }

    /// The first 128 bits of the user key's SHA-256.
    pub fn position(&self) -> Position {
        let mut position = [0; 16];
        position.copy_from_slice(&self.0[..16]);
        Position(position)
    }

    /// The stored bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The range of a partition's keys.
    pub fn range(partition: Partition, q: Partitions) -> (Bound<[u8; 16]>, Bound<[u8; 16]>) {
        let (first, last) = q.range(partition);
        // The first position after the partition; none after the last one.
        let end = u128::from_be_bytes(last.0).checked_add(1);
        (Bound::Included(first.0), end.map_or(Bound::Unbounded, |end| Bound::Excluded(end.to_be_bytes())))
    }
}

const BY_TARGET: u8 = 0;
const BY_KEY: u8 = 1;

/// One hint: `target` is owed the state of `key`, since `since_ms`. Its order is target, then age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HintKey {
    /// Who is owed it.
    pub target: NodeId,
    /// When the hint was made, ms since the epoch, by the clock of the coordinator that asked for it.
    pub since_ms: u64,
    /// The key.
    pub key: DataKey,
}

impl HintKey {
    /// The row by target.
    pub(crate) fn by_target(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(25 + self.key.0.len());
        bytes.put_u8(BY_TARGET);
        bytes.put_slice(self.target.as_bytes());
        bytes.put_u64(self.since_ms);
        bytes.put_slice(&self.key.0);
        bytes.freeze()
    }

    /// The row by key.
    pub(crate) fn by_key(&self) -> Bytes {
        Self::by_key_of(&self.key, self.target)
    }

    /// The row by key, whose value says since when.
    pub(crate) fn by_key_of(key: &DataKey, target: NodeId) -> Bytes {
        let mut bytes = BytesMut::with_capacity(17 + key.0.len());
        bytes.put_slice(&Self::key_prefix(key));
        bytes.put_slice(target.as_bytes());
        bytes.freeze()
    }

    /// What all rows by target begin with, for one target or for all.
    pub(crate) fn target_prefix(target: Option<NodeId>) -> Vec<u8> {
        let mut prefix = vec![BY_TARGET];
        prefix.extend(target.iter().flat_map(NodeId::as_bytes));
        prefix
    }

    /// What the rows by key of `key` begin with. Rows of a longer key may begin so too; theirs are longer.
    pub(crate) fn key_prefix(key: &DataKey) -> Vec<u8> {
        [&[BY_KEY], &key.0[..]].concat()
    }

    /// From a row by target.
    pub(crate) fn from_by_target(bytes: &Bytes) -> Result<Self, KeyError> {
        let short = KeyError::Length(bytes.len());
        let (&[_, ref target @ ..], rest) = bytes.split_first_chunk::<17>().ok_or(short)?;
        let (since, _) = rest.split_first_chunk::<8>().ok_or(short)?;
        let key = DataKey::from_store(bytes.slice(25..))?;
        Ok(Self { target: NodeId(*target), since_ms: u64::from_be_bytes(*since), key })
    }

    /// The target, from a row by key of `key`; `None` if the row is of a longer key.
    pub(crate) fn target_of(key: &DataKey, row: &[u8]) -> Option<NodeId> {
        let target = row.get(1 + key.0.len()..)?;
        target.try_into().ok().map(NodeId)
    }
}

/// Where a partition's Merkle node lies.
pub(crate) fn merkle_key(partition: Partition, prefix: Prefix) -> Vec<u8> {
    [&merkle_prefix(partition)[..], &prefix.encode()].concat()
}

/// What all Merkle rows of a partition begin with.
pub(crate) fn merkle_prefix(partition: Partition) -> [u8; 2] {
    partition.0.to_be_bytes()
}

/// The small durable facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetaKey<'a> {
    /// Commit number and births: [`Counters`](super::rows::Counters).
    Counters,
    /// Q, once a layout has named it.
    Partitions,
    /// Whose data this is: [`Identity`](super::Identity).
    Identity,
    /// The last stop was clean; consumed by the next start.
    CleanStop,
    /// This node has left for good; no layout may name it again.
    Retired,
    /// The layout record, as the layout room writes it.
    Layout,
    /// A partition's [`Summary`](super::Summary).
    Summary(Partition),
    /// What a peer has told of itself: [`PeerMark`](super::PeerMark).
    Peer(NodeId),
    /// How many hints there are for a target.
    HintCount(NodeId),
    /// A fact of another room, by a name of its choosing. Its value should begin with a version byte.
    Named(&'a str),
}

impl MetaKey<'_> {
    /// The stored key.
    pub fn encode(&self) -> Bytes {
        let (tag, rest): (u8, &[u8]) = match self {
            Self::Counters => (1, &[]),
            Self::Partitions => (2, &[]),
            Self::Identity => (3, &[]),
            Self::CleanStop => (4, &[]),
            Self::Retired => (5, &[]),
            Self::Layout => (6, &[]),
            Self::Summary(partition) => (7, &partition.0.to_be_bytes()),
            Self::Peer(node) => (8, node.as_bytes()),
            Self::HintCount(target) => (9, target.as_bytes()),
            Self::Named(name) => (10, name.as_bytes()),
        };
        [&[tag], rest].concat().into()
    }
}

/// What the keys of all peers and of all hint counts begin with.
pub(crate) const PEERS: [u8; 1] = [8];
pub(crate) const HINT_COUNTS: [u8; 1] = [9];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_lies_in_its_partitions_range(user_key in prop::collection::vec(any::<u8>(), 1..40), bits in 3u32..=12) {
            let q = Partitions::new(1 << bits).unwrap();
            let key = DataKey::of(&user_key).unwrap();
            prop_assert_eq!(key.user_key(), &user_key[..]);
            prop_assert_eq!(DataKey::from_peer(key.as_bytes().clone()), Ok(key.clone()));
            let (from, to) = DataKey::range(key.position().partition(q), q);
            let within = (from.as_ref().map(|b| &b[..]), to.as_ref().map(|b| &b[..]));
            prop_assert!(std::ops::RangeBounds::<[u8]>::contains(&within, &key.as_bytes()[..]));
        }

        #[test]
        fn hints_sort_by_target_and_age(a: (u8, u64), b: (u8, u64)) {
            let hint = |(target, since_ms): (u8, u64)| HintKey {
                target: NodeId([target; 16]), since_ms, key: DataKey::of(b"k").unwrap(),
            };
            let (a, b) = (hint(a), hint(b));
            prop_assert_eq!(a.cmp(&b), a.by_target().cmp(&b.by_target()));
            prop_assert_eq!(HintKey::from_by_target(&a.by_target()), Ok(a.clone()));
            prop_assert_eq!(HintKey::target_of(&a.key, &a.by_key()), Some(a.target));
        }
    }

    #[test]
    fn a_key_at_a_strange_position_is_refused() {
        let mut bytes = DataKey::of(b"k").unwrap().as_bytes().to_vec();
        bytes[3] ^= 1;
        assert_eq!(DataKey::from_peer(bytes.into()), Err(KeyError::Position));
        assert_eq!(DataKey::from_peer(Bytes::from_static(b"short")), Err(KeyError::Length(0)));
        assert_eq!(DataKey::of(b""), Err(KeyError::Length(0)));
        assert_eq!(DataKey::of(&[0; 4097]), Err(KeyError::Length(4097)));
    }
}
