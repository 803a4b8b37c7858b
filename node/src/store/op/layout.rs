//! A layout is taken: the record is kept, and the Merkle trees follow what is held.

use std::collections::BTreeSet;
use std::ops::Bound;

use bytes::Bytes;
use dynamo_ring::{Partition, Partitions};

use super::super::batch::{Batch, row_bytes};
use super::super::error::{OpError, StoreError};
use super::super::keys::{DataKey, MetaKey, merkle_prefix};
use super::super::rows::Summary;
use super::super::{Limit, Read, Space, read_prefix};
use super::{Operation, meta};
use crate::merkle::MerkleHash;
use crate::version::StateHash;

/// Rows that are read at a time where a whole partition is gone through.
const CHUNK: Limit = Limit { rows: 1024, bytes: 4 << 20 };

/// Keeps a layout record and what follows from it, in one batch.
///
/// A partition that is newly held gets a tree of the keys that are already here (stood in for others). One that is no
/// longer held loses its tree at once; its keys and its nodes go by [`Purge`](super::Purge), bit by bit.
#[derive(Debug, Clone)]
pub struct LayoutChange {
    /// The record, as the layout room writes it.
    pub record: Bytes,
    /// Q. The first layout fixes it.
    pub partitions: Partitions,
    /// The partitions that this node holds: by the stable layout and by the target, and what it still has to hand over.
    pub held: BTreeSet<Partition>,
    /// Other facts that must change together with the record: encoded [`MetaKey`]s, `None` removes.
    pub puts: Vec<(Bytes, Option<Bytes>)>,
}

impl Operation for LayoutChange {
    type Outcome = ();
    const GROWS: bool = false;

    fn weight(&self) -> usize {
        self.record.len() + meta::weight(&self.puts)
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<(), OpError> {
        batch.set_partitions(self.partitions)?;
        for partition in self.partitions.iter() {
            let summary = batch.summary(partition)?;
            match (summary.held, self.held.contains(&partition)) {
                (false, true) => drop(batch.plant(partition)?),
                (true, false) => {
                    batch.set_summary(partition, Summary { held: false, root: MerkleHash::EMPTY, ..summary });
                }
                _ => {}
            }
        }
        batch.put_meta(MetaKey::Layout, self.record.clone());
        batch.put_facts(&self.puts);
        Ok(())
    }
}

/// Makes a partition's tree and counts anew from its data. For when they are in doubt: a Merkle node cannot be read, or
/// the tree names a position at which no key is stored.
///
/// Reads the whole partition on the commit thread, so writes wait for it.
#[derive(Debug, Clone, Copy)]
pub struct Rebuild {
    /// A partition that is held here.
    pub partition: Partition,
}

impl Operation for Rebuild {
    type Outcome = Summary;
    const GROWS: bool = false;

    fn weight(&self) -> usize {
        64
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<Summary, OpError> {
        if !batch.summary(self.partition)?.held {
            return Err(OpError::NotHeld(self.partition));
        }
        batch.plant(self.partition)
    }
}

impl Batch<'_> {
    /// Makes the tree and the counts of a partition from its data, whatever was there before.
    fn plant(&mut self, partition: Partition) -> Result<Summary, OpError> {
        let q = self.partitions()?;
        while self.remove_nodes(partition, CHUNK.rows)? > 0 {}
        let mut summary = Summary { held: true, ..Summary::default() };
        let (from, to) = DataKey::range(partition, q);
        let mut from = from.map(|first| Bytes::copy_from_slice(&first));
        loop {
            let (start, end) = (from.as_ref().map(|key| &key[..]), to.as_ref().map(|end| &end[..]));
            let rows = self.rows.range(Space::Data, start, end, CHUNK)?;
            let Some((last, _)) = rows.last() else { break };
            from = Bound::Excluded(last.clone());
            for (row, encoded) in rows {
                let key = DataKey::from_store(row).map_err(|why| StoreError::corrupt("key", why))?;
                let hash = StateHash::of(key.user_key(), &encoded);
                summary.keys += 1;
                summary.bytes += row_bytes(&key, &encoded);
                summary.root = self.tree(partition, q).upsert(key.position(), hash)?;
            }
        }
        self.set_summary(partition, summary);
        Ok(summary)
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
