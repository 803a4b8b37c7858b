//! Merkle trees in doubt, and how they are made anew from the data, bit by bit, while writes go on.

use std::ops::Bound;

use bytes::Bytes;
use dynamo_ring::{Partition, Position};

use super::super::batch::{Batch, row_bytes};
use super::super::error::{OpError, StoreError};
use super::super::keys::{DataKey, merkle_prefix};
use super::super::rows::{Planting, Summary};
use super::super::{Limit, Read, Space, read_prefix};
use super::Operation;
use crate::merkle::{MerkleHash, Prefix};
use crate::version::StateHash;

/// Rows that are read at a time where a whole partition is gone through.
const CHUNK: Limit = Limit { rows: 1024, bytes: 4 << 20 };

/// A partition's tree and counts are in doubt: from now on they are shown to nobody, until [`Plant`] has made them anew.
#[derive(Debug, Clone, Copy)]
pub struct Rebuild {
    /// A partition that is held here.
    pub partition: Partition,
}

impl Operation for Rebuild {
    type Outcome = ();
    const GROWS: bool = false;

    fn weight(&self) -> usize {
        64
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<(), OpError> {
        let summary = batch.summary(self.partition)?;
        if !summary.held {
            return Err(OpError::NotHeld(self.partition));
        }
        batch.set_summary(self.partition, summary.in_doubt());
        Ok(())
    }
}

/// Holds parts of a partition's tree against the data, in one batch with nothing in between: what looked odd from outside
/// may have been a write that was just coming in. A stale leaf is mended; if anything else is wrong the tree is in doubt.
#[derive(Debug, Clone)]
pub struct Examine {
    /// The partition. One that is not held, or whose tree is being made anew, has nothing to examine.
    pub partition: Partition,
    /// Whether there is a way to what lies under these.
    pub prefixes: Vec<Prefix>,
    /// Whether there is a leaf here if and only if there is a key.
    pub positions: Vec<Position>,
}

impl Operation for Examine {
    /// Whether the tree is in doubt, and to be made anew.
    type Outcome = bool;
    const GROWS: bool = false;

    fn weight(&self) -> usize {
        (self.prefixes.len() + self.positions.len()) * 32 + 64
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<bool, OpError> {
        let summary = batch.summary(self.partition)?;
        let Some(root) = summary.tree() else { return Ok(summary.held) };
        let right = match batch.is_right(self, root) {
            Err(OpError::Store(StoreError::Tree(_))) => false,
            other => other?,
        };
        if !right {
            batch.set_summary(self.partition, summary.in_doubt());
        }
        Ok(!right)
    }
}

/// Goes on making a tree anew that is in doubt: first its old nodes go, then a pass over the keys plants the new ones.
#[derive(Debug, Clone, Copy)]
pub struct Plant {
    /// The partition.
    pub partition: Partition,
    /// Rows that may be read or removed at once, and bytes that may be read.
    pub limit: Limit,
}

/// How far [`Plant`] has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// There is more to do, and this step has gone through so many bytes.
    More(u64),
    /// The tree is whole: just now, or it was; or the partition is not held.
    Whole,
}

impl Operation for Plant {
    type Outcome = Planted;
    const GROWS: bool = false;

    fn weight(&self) -> usize {
        self.limit.rows.saturating_mul(64)
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<Planted, OpError> {
        let summary = batch.summary(self.partition)?;
        match summary.planting.filter(|_| summary.held) {
            Some(planting) => batch.plant_some(self.partition, summary, planting, self.limit),
            None => Ok(Planted::Whole),
        }
    }
}

impl Batch<'_> {
    /// Makes the tree and the counts of a partition from its data, whatever was there before; it is held from now on.
    pub(super) fn plant(&mut self, partition: Partition) -> Result<(), OpError> {
        self.set_summary(partition, Summary { held: true, ..Summary::default() }.in_doubt());
        let plant = Plant { partition, limit: CHUNK };
        while plant.apply(self)? != Planted::Whole {}
        Ok(())
    }

    fn plant_some(
        &mut self,
        partition: Partition,
        mut summary: Summary,
        mut planting: Planting,
        limit: Limit,
    ) -> Result<Planted, OpError> {
        let limit = Limit { rows: limit.rows.max(1), bytes: limit.bytes.max(1) };
        if !planting.cleared {
            let removed = self.remove_nodes(partition, limit.rows)?;
            planting.cleared = removed < limit.rows;
            self.set_summary(partition, Summary { planting: Some(planting), ..summary });
            return Ok(Planted::More(removed as u64 * 64));
        }
        let rows = self.rows_after(partition, planting.passed, limit)?;
        let read: usize = rows.iter().map(|(key, encoded)| key.as_bytes().len() + encoded.len()).sum();
        match self.plant_rows(partition, summary.root, &rows) {
            Ok(root) => summary.root = root,
            // It came out broken once more: from the start again.
            Err(StoreError::Tree(_)) => {
                self.set_summary(partition, summary.in_doubt());
                return Ok(Planted::More(read as u64));
            }
            Err(why) => return Err(why.into()),
        }
        for (key, encoded) in &rows {
            planting.keys += 1;
            planting.bytes += row_bytes(key, encoded);
            planting.passed = Some(key.position());
        }
        if limit.reached(rows.len(), read) {
            self.set_summary(partition, Summary { planting: Some(planting), ..summary });
            return Ok(Planted::More(read as u64));
        }
        let Planting { keys, bytes, .. } = planting;
        self.set_summary(partition, Summary { keys, bytes, planting: None, ..summary });
        Ok(Planted::Whole)
    }

    /// The partition's rows after this position, in their order, up to the limit.
    fn rows_after(
        &self,
        partition: Partition,
        after: Option<Position>,
        limit: Limit,
    ) -> Result<Vec<(DataKey, Bytes)>, OpError> {
        let (first, end) = DataKey::range(partition, self.partitions()?);
        let first = match after.map(|position| u128::from_be_bytes(position.0).checked_add(1)) {
            // The last position of all has nothing after it.
            Some(None) => return Ok(Vec::new()),
            Some(Some(next)) => Bound::Included(next.to_be_bytes()),
            None => first,
        };
        let (from, to) = (first.as_ref().map(|first| &first[..]), end.as_ref().map(|end| &end[..]));
        let rows = self.rows.range(Space::Data, from, to, limit)?;
        let row = |(key, encoded)| {
            let key = DataKey::from_store(key).map_err(|why| StoreError::corrupt("key", why))?;
            Ok((key, encoded))
        };
        rows.into_iter().map(row).collect()
    }

    fn plant_rows(
        &mut self,
        partition: Partition,
        root: MerkleHash,
        rows: &[(DataKey, Bytes)],
    ) -> Result<MerkleHash, StoreError> {
        let Ok(q) = self.partitions() else { return Ok(root) };
        let mut tree = self.tree(partition, q);
        let mut walk = tree.walk()?;
        if walk.began_at() != root {
            return Err(StoreError::Tree(partition));
        }
        for (key, encoded) in rows {
            walk.note(key.position(), StateHash::of(key.user_key(), encoded))?;
        }
        walk.end()
    }

    /// Whether the tree has what is to be examined; a stale leaf is mended.
    fn is_right(&mut self, what: &Examine, root: MerkleHash) -> Result<bool, OpError> {
        let q = self.partitions()?;
        let tree = self.tree(what.partition, q);
        if tree.root_hash()? != root {
            return Ok(false);
        }
        for prefix in &what.prefixes {
            tree.at(*prefix)?;
        }
        let leaves = what.positions.iter().map(|position| Ok((*position, tree.leaf(*position)?)));
        let leaves: Vec<_> = leaves.collect::<Result<_, StoreError>>()?;
        for (position, leaf) in leaves {
            match (self.at(position)?, leaf) {
                (Some((key, encoded)), Some(_)) => {
                    self.rehash(&key, &encoded)?;
                }
                (None, None) => {}
                (Some(_), None) | (None, Some(_)) => return Ok(false),
            }
        }
        // Mending may have come upon something.
        Ok(self.summary(what.partition)?.tree().is_some())
    }

    /// Removes up to `limit` of a partition's Merkle nodes, and says how many.
    pub(super) fn remove_nodes(&mut self, partition: Partition, limit: usize) -> Result<usize, StoreError> {
        let nodes =
            read_prefix(&self.rows, Space::Merkle, &merkle_prefix(partition), None, Limit::rows(limit))?;
        let count = nodes.len();
        for (row, _) in nodes {
            self.rows.remove(Space::Merkle, row);
        }
        Ok(count)
    }
}
