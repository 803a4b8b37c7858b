//! What of the state is on disk, and how it is found again.
//!
//! The record lies at [`MetaKey::Layout`] as JSON; what is held, in the partitions' summaries; two layout ids beside them.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use dynamo_ring::{LayoutHash, LayoutId, NodeId, Partition, Record};

use super::state::State;
use crate::store::{JoinCluster, LayoutChange, Local, MetaKey, OpError, Operation, StoreError};
use crate::transfer::facts::Copied;

const CLEANED: MetaKey<'static> = MetaKey::Named("layout/cleaned");
const HANDED_OVER: MetaKey<'static> = MetaKey::Named("layout/handed-over");
const VERSION: u8 = 1;

/// The state as the disk has it.
pub fn find(local: &Local, me: NodeId) -> Result<State, StoreError> {
    let record = local.meta(MetaKey::Layout)?.map(|row| read_record(&row)).transpose()?;
    let held =
        local.summaries()?.into_iter().filter(|(_, summary)| summary.held).map(|(partition, _)| partition);
    let id = |key: MetaKey<'_>| local.meta(key)?.map(|row| read_id(&row)).transpose();
    let retired = local.meta(MetaKey::Retired)?.is_some();
    Ok(State::found(me, record.map(Arc::new), held.collect(), id(CLEANED)?, id(HANDED_OVER)?, retired))
}

/// Writes a state, in one batch.
#[derive(Debug, Clone)]
pub struct Keep {
    join: JoinCluster,
    change: LayoutChange,
}

impl Keep {
    /// What stores `state`; nothing if there is no record in it. Forgets how far the partitions in `forget` had been
    /// copied: a copy that begins anew must not go on where an earlier one stood.
    pub fn new(state: &State, forget: &BTreeSet<Partition>) -> Option<Self> {
        let record = state.record.as_ref()?;
        let id = |key: MetaKey<'_>, id: Option<LayoutId>| (key.encode(), id.map(id_row));
        let mut puts = vec![id(CLEANED, state.cleaned), id(HANDED_OVER, state.handed_over)];
        puts.extend(forget.iter().map(|partition| (Copied::key(*partition), None)));
        let change = LayoutChange {
            record: record.to_json().into(),
            partitions: record.stable().partitions(),
            held: (*state.held).clone(),
            puts,
        };
        Some(Self { join: JoinCluster(record.cluster_id()), change })
    }
}

impl Operation for Keep {
    type Outcome = ();
    const GROWS: bool = false;

    fn weight(&self) -> usize {
        self.join.weight() + self.change.weight()
    }

    fn apply(&self, batch: &mut crate::store::Batch<'_>) -> Result<(), OpError> {
        self.join.apply(batch)?;
        self.change.apply(batch)
    }
}

fn read_record(row: &[u8]) -> Result<Record, StoreError> {
    let text = std::str::from_utf8(row).map_err(|why| StoreError::corrupt("layout record", why))?;
    Record::from_json(text).map_err(|why| StoreError::corrupt("layout record", why))
}

/// A layout's name, as a row: version, epoch, hash.
pub(crate) fn id_row(id: LayoutId) -> Bytes {
    let mut row = BytesMut::with_capacity(25);
    row.put_u8(VERSION);
    put_id(&mut row, id);
    row.freeze()
}

/// Appends a layout's name: epoch, hash.
pub(crate) fn put_id(row: &mut BytesMut, id: LayoutId) {
    row.put_u64(id.epoch);
    row.put_slice(id.hash.as_bytes());
}

/// What [`put_id`] wrote, and what follows it.
pub(crate) fn take_id(bytes: &[u8]) -> Option<(LayoutId, &[u8])> {
    let (epoch, rest) = bytes.split_first_chunk()?;
    let (hash, rest) = rest.split_first_chunk()?;
    Some((LayoutId { epoch: u64::from_be_bytes(*epoch), hash: LayoutHash(*hash) }, rest))
}

fn read_id(row: &[u8]) -> Result<LayoutId, StoreError> {
    match row.split_first() {
        Some((&VERSION, rest)) => match take_id(rest) {
            Some((id, [])) => Ok(id),
            _ => Err(StoreError::corrupt("layout id", "wrong length")),
        },
        _ => Err(StoreError::corrupt("layout id", "format is not known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_and_strange_rows_are_corruption() {
        let id = LayoutId { epoch: 7, hash: LayoutHash([3; 16]) };
        assert_eq!(read_id(&id_row(id)), Ok(id));
        for bad in [&[][..], &[1], &[2; 25], &[1; 24], &[1; 26]] {
            assert!(matches!(read_id(bad), Err(StoreError::Corrupt(_))), "{bad:?}");
        }
    }
}
