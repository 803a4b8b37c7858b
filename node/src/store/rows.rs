//! The small rows and their formats. Each begins with a version byte.

use bytes::Bytes;
use dynamo_ring::{NodeId, Partitions, Position};

use super::error::StoreError;
use crate::merkle::MerkleHash;
use crate::version::{ActorId, Birth};

const VERSION: u8 = 1;
/// Version 1 did not count hints.
const COUNTERS_VERSION: u8 = 2;
/// A summary whose tree is being made anew. All others are written in version 1, which an earlier release reads.
const PLANTING_VERSION: u8 = 2;
/// Of a summary in version 1, after the version.
const SUMMARY_BYTES: usize = 1 + 16 + 8 + 8;

/// What the store keeps count of, node-wide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Number of the last batch. Peers remember it: a node whose own number is below what they saw synced was set back.
    pub commit: u64,
    /// The last birth taken.
    pub births: u64,
    /// How many times a hint was taken in. Two equal numbers, some time apart: none came meanwhile.
    pub hints: u64,
}

impl Counters {
    pub(crate) fn encode(self) -> Bytes {
        let numbers = [self.commit, self.births, self.hints].map(u64::to_be_bytes);
        [&[COUNTERS_VERSION], numbers.concat().as_slice()].concat().into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        if let Some((&COUNTERS_VERSION, body)) = bytes.split_first() {
            let [commit, births, hints] = split("counters", body)?;
            return Ok(Self { commit, births, hints });
        }
        let [commit, births] = numbers("counters", bytes)?;
        Ok(Self { commit, births, hints: 0 })
    }
}

/// What a partition amounts to here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Whether a layout gives the partition to this node, so that its keys stand in a Merkle tree. Keys of one that is
    /// not held are here for a hint, or are still to be dropped.
    pub held: bool,
    /// Root of the Merkle tree; empty if not held.
    pub root: MerkleHash,
    /// Keys stored, deleted but not yet reaped ones included.
    pub keys: u64,
    /// Bytes stored: keys with their positions, and encoded states.
    pub bytes: u64,
    /// The tree was in doubt, and is being made anew.
    pub planting: Option<Planting>,
}

/// How far a tree that is being made anew has come, in a pass over the partition's keys in their order. What is written
/// before that point goes into the new tree; what is written behind it will be found there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Planting {
    /// All nodes of the old tree are gone.
    pub cleared: bool,
    /// The last position that was passed.
    pub passed: Option<Position>,
    /// Keys up to there.
    pub keys: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Planting {
    /// Whether the pass has come by this position.
    pub fn has_passed(&self, position: Position) -> bool {
        self.passed.is_some_and(|passed| position <= passed)
    }
}

impl Summary {
    /// The root of the tree, if there is one to compare with others': the partition is held, and its tree is whole.
    pub fn tree(&self) -> Option<MerkleHash> {
        (self.held && self.planting.is_none()).then_some(self.root)
    }

    /// Whether a key at this position has its leaf in the tree as it is.
    pub(super) fn has_leaf_at(&self, position: Position) -> bool {
        self.held && self.planting.is_none_or(|planting| planting.has_passed(position))
    }

    /// The same, with a tree that is to be made anew.
    pub(super) fn in_doubt(self) -> Self {
        Self { root: MerkleHash::EMPTY, planting: Some(Planting::default()), ..self }
    }

    /// Counts a key that had so many bytes and now has so many; `None`: there was, or is, none.
    pub(super) fn count(&mut self, position: Position, before: Option<u64>, after: Option<u64>) {
        let count = |keys: &mut u64, bytes: &mut u64| {
            *keys = (*keys + u64::from(after.is_some())).saturating_sub(before.is_some().into());
            *bytes = (*bytes + after.unwrap_or(0)).saturating_sub(before.unwrap_or(0));
        };
        count(&mut self.keys, &mut self.bytes);
        if let Some(planting) = self.planting.as_mut().filter(|planting| planting.has_passed(position)) {
            count(&mut planting.keys, &mut planting.bytes);
        }
    }

    pub(crate) fn encode(self) -> Bytes {
        let (keys, bytes) = (self.keys.to_be_bytes(), self.bytes.to_be_bytes());
        let row = row([&[u8::from(self.held)][..], &self.root.0, &keys, &bytes]);
        let Some(Planting { cleared, passed, keys, bytes }) = self.planting else { return row };
        let state = u8::from(cleared) | u8::from(passed.is_some()) << 1;
        let passed = passed.unwrap_or(Position([0; 16])).0;
        let planting = [&[state][..], &passed, &keys.to_be_bytes(), &bytes.to_be_bytes()].concat();
        [&[PLANTING_VERSION], &row[1..], planting.as_slice()].concat().into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let wrong = || StoreError::corrupt("summary", "wrong length");
        let (body, planting) = match bytes.split_first() {
            Some((&PLANTING_VERSION, body)) => {
                let (body, planting) = body.split_at_checked(SUMMARY_BYTES).ok_or_else(wrong)?;
                (body, Some(planting))
            }
            _ => (body("summary", bytes)?, None),
        };
        let (&[held], rest) = body.split_first_chunk().ok_or_else(wrong)?;
        let (root, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let [keys, bytes] = split("summary", rest)?;
        let planting = planting.map(|planting| {
            let (&[state], rest) = planting.split_first_chunk().ok_or_else(wrong)?;
            let (passed, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
            let [keys, bytes] = split("summary", rest)?;
            let passed = (state & 2 != 0).then_some(Position(*passed));
            Ok::<_, StoreError>(Planting { cleared: state & 1 != 0, passed, keys, bytes })
        });
        let planting = planting.transpose()?;
        Ok(Self { held: held != 0, root: MerkleHash(*root), keys, bytes, planting })
    }
}

/// How far a peer had come when it said what came with this. Kept at the highest that was ever seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerMark {
    /// The peer.
    pub node_id: NodeId,
    /// Its actor id, as last told.
    pub actor: ActorId,
    /// Its last batch.
    pub commit: u64,
    /// Its last batch known to be on its disk.
    pub synced: u64,
}

impl PeerMark {
    pub(crate) fn encode(&self) -> Bytes {
        row([&self.actor.0.to_be_bytes()[..], &self.commit.to_be_bytes(), &self.synced.to_be_bytes()])
    }

    pub(crate) fn decode(node_id: NodeId, bytes: &[u8]) -> Result<Self, StoreError> {
        let [actor, commit, synced] = numbers("peer mark", bytes)?;
        Ok(Self { node_id, actor: ActorId(actor), commit, synced })
    }
}

/// A row of one number: a birth mark, a hint's age, a count of hints.
pub(crate) fn number(n: u64) -> Bytes {
    row([&n.to_be_bytes()[..]])
}

/// What [`number`] wrote.
pub(crate) fn read_number(what: &'static str, bytes: &[u8]) -> Result<u64, StoreError> {
    numbers::<1>(what, bytes).map(|[n]| n)
}

/// A birth mark.
pub(crate) fn read_birth(bytes: &[u8]) -> Result<Birth, StoreError> {
    read_number("birth mark", bytes).map(Birth)
}

/// Q, as [`number`] wrote it.
pub(crate) fn read_partitions(bytes: &[u8]) -> Result<Partitions, StoreError> {
    let n = read_number("number of partitions", bytes)?;
    let n = u32::try_from(n).unwrap_or(u32::MAX);
    Partitions::new(n).map_err(|why| StoreError::corrupt("number of partitions", why))
}

/// A row of these parts, after the version.
pub(crate) fn row<const N: usize>(parts: [&[u8]; N]) -> Bytes {
    [&[VERSION], parts.concat().as_slice()].concat().into()
}

/// What follows the version.
pub(crate) fn body<'a>(what: &'static str, bytes: &'a [u8]) -> Result<&'a [u8], StoreError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => Ok(body),
        Some((version, _)) => Err(StoreError::corrupt(what, format_args!("format {version} is not known"))),
        None => Err(StoreError::corrupt(what, "empty row")),
    }
}

fn numbers<const N: usize>(what: &'static str, bytes: &[u8]) -> Result<[u64; N], StoreError> {
    split(what, body(what, bytes)?)
}

fn split<const N: usize>(what: &'static str, body: &[u8]) -> Result<[u64; N], StoreError> {
    let mut numbers = [0; N];
    match body.as_chunks::<8>() {
        (chunks, []) if chunks.len() == N => {
            for (number, chunk) in numbers.iter_mut().zip(chunks) {
                *number = u64::from_be_bytes(*chunk);
            }
            Ok(numbers)
        }
        _ => Err(StoreError::corrupt(what, "wrong length")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_survives_and_a_strange_version_is_corruption() {
        let counters = Counters { commit: 7, births: 9, hints: 11 };
        assert_eq!(Counters::decode(&counters.encode()), Ok(counters));
        let old = row([&7u64.to_be_bytes()[..], &9u64.to_be_bytes()]);
        assert_eq!(Counters::decode(&old), Ok(Counters { hints: 0, ..counters }));
        let summary =
            Summary { held: true, root: MerkleHash([3; 16]), keys: 5, bytes: 1 << 40, planting: None };
        assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
        assert_eq!(summary.encode().len(), 1 + SUMMARY_BYTES);
        for passed in [None, Some(Position([0; 16])), Some(Position([9; 16]))] {
            let planting = Some(Planting { cleared: passed.is_some(), passed, keys: 2, bytes: 1 << 33 });
            let summary = Summary { planting, ..summary };
            assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
            assert!(Summary::decode(&summary.encode()[..40]).is_err());
        }
        let node_id = NodeId([1; 16]);
        let mark = PeerMark { node_id, actor: ActorId(2), commit: 3, synced: 4 };
        assert_eq!(PeerMark::decode(node_id, &mark.encode()), Ok(mark));
        assert_eq!(read_number("count", &number(11)), Ok(11));
        for bad in [&[][..], &[2, 0], &[1, 0], &[1; 18]] {
            assert!(matches!(Counters::decode(bad), Err(StoreError::Corrupt(_))), "{bad:?}");
            assert!(matches!(Summary::decode(bad), Err(StoreError::Corrupt(_))), "{bad:?}");
        }
    }
}
