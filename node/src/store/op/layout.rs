//! A layout is taken: the record is kept, and the Merkle trees follow what is held.

use std::collections::BTreeSet;

use bytes::Bytes;
use dynamo_ring::{Partition, Partitions};

use super::super::batch::Batch;
use super::super::error::OpError;
use super::super::keys::MetaKey;
use super::super::rows::Summary;
use super::{Operation, meta};
use crate::merkle::MerkleHash;

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
                (false, true) => batch.plant(partition)?,
                (true, false) => {
                    let (root, planting) = (MerkleHash::EMPTY, None);
                    batch.set_summary(partition, Summary { held: false, root, planting, ..summary });
                }
                _ => {}
            }
        }
        batch.put_meta(MetaKey::Layout, self.record.clone());
        batch.put_facts(&self.puts);
        Ok(())
    }
}
