//! Reading what this node has: from the store as it is now, or from a snapshot.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use dynamo_ring::{NodeId, Partition, Partitions, Position};

use super::error::{OpError, StoreError};
use super::identity::Identity;
use super::keys::{self, DataKey, HintKey, MetaKey};
use super::leaves::PartitionNodes;
use super::op::hints_of;
use super::rows::{self, Counters, PeerMark, Summary};
use super::{Limit, Read, Space, Store, read_prefix};
use crate::merkle::{MerkleHash, Node, Prefix, Tree};
use crate::version::State;

/// The read side of a store, or of a snapshot of it. Cheap to clone. Every call may block for a disk's time.
#[derive(Clone)]
pub struct Local {
    read: Arc<dyn Read>,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").finish_non_exhaustive()
    }
}

/// Entries of a partition, as they lie in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Keys in order, with their encoded states.
    pub entries: Vec<(DataKey, Bytes)>,
    /// There may be more after the last of them.
    pub more: bool,
}

/// One hint. Go on after it with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Who is owed what, and since when.
    pub key: HintKey,
    /// The state that is owed; `None` if the key is gone.
    pub encoded: Option<Bytes>,
}

/// What one member is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HintCount {
    /// The member.
    pub target: NodeId,
    /// How many keys.
    pub hints: u64,
    /// When the oldest hint was made, ms since the epoch.
    pub oldest_ms: Option<u64>,
}

impl Local {
    /// What is stored now, at each call.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { read: store }
    }

    /// What a snapshot holds.
    pub fn over(snapshot: Box<dyn Read>) -> Self {
        Self { read: snapshot.into() }
    }

    pub(super) fn read(&self) -> &dyn Read {
        &*self.read
    }

    /// The state of a key, if there is one.
    pub fn state(&self, user_key: &[u8]) -> Result<Option<State>, OpError> {
        let decode =
            |encoded: Bytes| State::decode(&encoded).map_err(|why| StoreError::corrupt("state", why));
        Ok(self.encoded(user_key)?.map(decode).transpose()?)
    }

    /// The encoded state of a key, if there is one.
    pub fn encoded(&self, user_key: &[u8]) -> Result<Option<Bytes>, OpError> {
        Ok(self.read.get(Space::Data, DataKey::of(user_key)?.as_bytes())?)
    }

    /// The entry of the key at a position. Two keys never share one (it would be a collision of SHA-256).
    pub fn at(&self, position: Position) -> Result<Option<(DataKey, Bytes)>, StoreError> {
        let rows = read_prefix(&*self.read, Space::Data, position.as_bytes(), None, Limit::rows(1))?;
        rows.into_iter().next().map(entry).transpose()
    }

    /// Entries of a partition in key order, until they amount to `limit_bytes`.
    pub fn scan(
        &self,
        partition: Partition,
        after: Option<&DataKey>,
        limit_bytes: usize,
    ) -> Result<Scan, StoreError> {
        let Some(q) = self.partitions()? else { return Ok(Scan::default()) };
        let (from, to) = DataKey::range(partition, q);
        let from = match after {
            Some(key) => Bound::Excluded(&key.as_bytes()[..]),
            None => from.as_ref().map(|first| &first[..]),
        };
        let limit = Limit { rows: 65_536, bytes: limit_bytes.max(1) };
        let rows = self.read.range(Space::Data, from, to.as_ref().map(|end| &end[..]), limit)?;
        let bytes = rows.iter().map(|(key, value)| key.len() + value.len()).sum();
        let more = limit.reached(rows.len(), bytes);
        Ok(Scan { entries: rows.into_iter().map(entry).collect::<Result<_, _>>()?, more })
    }

    /// What a partition amounts to here.
    pub fn summary(&self, partition: Partition) -> Result<Summary, StoreError> {
        let row = self.meta(MetaKey::Summary(partition))?;
        row.map_or(Ok(Summary::default()), |row| Summary::decode(&row))
    }

    /// The roots of these partitions' trees, in their order; `None` for one that is not held, or whose tree is being made
    /// anew.
    pub fn roots(&self, partitions: &[Partition]) -> Result<Vec<Option<MerkleHash>>, StoreError> {
        partitions.iter().map(|partition| Ok(self.summary(*partition)?.tree())).collect()
    }

    /// The partitions whose trees are to be made anew.
    pub fn doubted(&self) -> Result<Vec<Partition>, StoreError> {
        let all = self.summaries()?.into_iter();
        let doubted = all.filter(|(_, summary)| summary.held && summary.planting.is_some());
        Ok(doubted.map(|(partition, _)| partition).collect())
    }

    /// The same for every partition that there is anything to say of.
    ///
    /// Row by row: a range would pass over all that each row has been since the last flush, and every write changes one.
    pub fn summaries(&self) -> Result<Vec<(Partition, Summary)>, StoreError> {
        let Some(q) = self.partitions()? else { return Ok(Vec::new()) };
        let one = |partition| {
            let row = self.meta(MetaKey::Summary(partition)).transpose()?;
            Some(row.and_then(|row| Ok((partition, Summary::decode(&row)?))))
        };
        q.iter().filter_map(one).collect()
    }

    /// What lies under each of these prefixes of a partition's Merkle tree, in their order; see [`Tree::at`]. `None` if
    /// the partition is not held, or its tree is being made anew. A tree that looks broken is [`StoreError::Tree`]: it may
    /// be, or a write came in between; have it [examined](super::Examine).
    pub fn merkle(&self, partition: Partition, prefixes: &[Prefix]) -> Result<Option<Vec<Node>>, StoreError> {
        let q = self.partitions()?.filter(|q| q.contains(partition));
        let (Some(q), Some(root)) = (q, self.summary(partition)?.tree()) else { return Ok(None) };
        let at = Prefix::root(partition, q);
        let tree = Tree::new(at, PartitionNodes { partition, rows: &*self.read });
        if root != MerkleHash::EMPTY && tree.at(at)?.is_empty() {
            return Err(StoreError::Tree(partition));
        }
        prefixes.iter().map(|prefix| tree.at(*prefix)).collect::<Result<_, _>>().map(Some)
    }

    /// Hints for a member, the oldest first, with the states that it is owed, until the states amount to `limit`.
    pub fn hints(
        &self,
        target: NodeId,
        after: Option<&HintKey>,
        limit: Limit,
    ) -> Result<Vec<Hint>, StoreError> {
        let prefix = HintKey::target_prefix(Some(target));
        let after = after.map(HintKey::by_target);
        let rows = read_prefix(&*self.read, Space::Hint, &prefix, after.as_deref(), Limit::rows(limit.rows))?;
        let (mut hints, mut bytes) = (Vec::new(), 0);
        for (row, _) in rows {
            if limit.reached(hints.len(), bytes) {
                break;
            }
            let key = HintKey::from_by_target(&row).map_err(|why| StoreError::corrupt("hint", why))?;
            let encoded = self.read.get(Space::Data, key.key.as_bytes())?;
            bytes += row.len() + encoded.as_ref().map_or(0, Bytes::len);
            hints.push(Hint { key, encoded });
        }
        Ok(hints)
    }

    /// Who is owed a key.
    pub fn hints_of(&self, key: &DataKey) -> Result<Vec<NodeId>, StoreError> {
        hints_of(&*self.read, key, usize::MAX)
    }

    /// What every member is owed: how much, and since when.
    pub fn hint_counts(&self) -> Result<Vec<HintCount>, StoreError> {
        let rows = read_prefix(&*self.read, Space::Meta, &keys::HINT_COUNTS, None, Limit::rows(usize::MAX))?;
        let one = |(key, row): (Bytes, Bytes)| {
            let target = key[1..].try_into().map_err(|_| StoreError::corrupt("hint count", "strange key"))?;
            let target = NodeId(target);
            let oldest = self.hints(target, None, Limit::rows(1))?.pop();
            let hints = rows::read_number("hint count", &row)?;
            Ok(HintCount { target, hints, oldest_ms: oldest.map(|hint| hint.key.since_ms) })
        };
        rows.into_iter().map(one).collect()
    }

    /// Q, once a layout has named it.
    pub fn partitions(&self) -> Result<Option<Partitions>, StoreError> {
        self.meta(MetaKey::Partitions)?.map(|row| rows::read_partitions(&row)).transpose()
    }

    /// Whose data this is.
    pub fn identity(&self) -> Result<Option<Identity>, StoreError> {
        Identity::read(&*self.read)
    }

    /// The commit number and the births as stored.
    pub fn counters(&self) -> Result<Counters, StoreError> {
        self.meta(MetaKey::Counters)?.map_or(Ok(Counters::default()), |row| Counters::decode(&row))
    }

    /// What a peer has told of itself.
    pub fn peer(&self, node_id: NodeId) -> Result<Option<PeerMark>, StoreError> {
        self.meta(MetaKey::Peer(node_id))?.map(|row| PeerMark::decode(node_id, &row)).transpose()
    }

    /// What all peers have told.
    pub fn peers(&self) -> Result<Vec<PeerMark>, StoreError> {
        let rows = read_prefix(&*self.read, Space::Meta, &keys::PEERS, None, Limit::rows(usize::MAX))?;
        let one = |(key, row): (Bytes, Bytes)| {
            let node = key[1..].try_into().map_err(|_| StoreError::corrupt("peer mark", "strange key"))?;
            PeerMark::decode(NodeId(node), &row)
        };
        rows.into_iter().map(one).collect()
    }

    /// A small fact, as stored.
    pub fn meta(&self, key: MetaKey<'_>) -> Result<Option<Bytes>, StoreError> {
        self.read.get(Space::Meta, &key.encode())
    }
}

fn entry((row, encoded): (Bytes, Bytes)) -> Result<(DataKey, Bytes), StoreError> {
    let key = DataKey::from_store(row).map_err(|why| StoreError::corrupt("key", why))?;
    Ok((key, encoded))
}
