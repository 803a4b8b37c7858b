//! Small durable facts.

use bytes::Bytes;
use dynamo_ring::ClusterId;

use super::super::batch::Batch;
use super::super::error::OpError;
use super::super::keys::MetaKey;
use super::super::rows::{self, PeerMark};
use super::super::{Read, Space};
use super::Operation;
use crate::version::ActorId;

/// Stores facts of other rooms.
#[derive(Debug, Clone)]
pub struct PutMeta {
    /// Encoded [`MetaKey`]s and their new values; `None` removes.
    pub puts: Vec<(Bytes, Option<Bytes>)>,
}

impl PutMeta {
    /// One fact.
    pub fn one(key: MetaKey<'_>, value: Option<Bytes>) -> Self {
        Self { puts: vec![(key.encode(), value)] }
    }

    /// This node has left for good. The next start over this directory sets the data aside and begins as a new node.
    pub fn retired() -> Self {
        Self::one(MetaKey::Retired, Some(rows::row([])))
    }
}

impl Operation for PutMeta {
    type Outcome = ();
    const GROWS: bool = false;

    fn weight(&self) -> usize {
        weight(&self.puts)
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<(), OpError> {
        batch.put_facts(&self.puts);
        Ok(())
    }
}

/// Remembers how far a peer has come, when it brought nothing to store.
#[derive(Debug, Clone, Copy)]
pub struct Mark(
    /// What the peer told.
    pub PeerMark,
);

impl Operation for Mark {
    type Outcome = ();
    const GROWS: bool = false;

    fn weight(&self) -> usize {
        64
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<(), OpError> {
        batch.mark(Some(self.0))
    }
}

/// From now on this node writes under another actor id.
#[derive(Debug, Clone, Copy)]
pub struct NewActor(
    /// 64 random bits.
    pub ActorId,
);

impl Operation for NewActor {
    type Outcome = ();
    const GROWS: bool = false;

    fn weight(&self) -> usize {
        64
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<(), OpError> {
        batch.set_actor(self.0);
        Ok(())
    }
}

/// This node's data belongs to a cluster from now on, and to no other ever.
#[derive(Debug, Clone, Copy)]
pub struct JoinCluster(
    /// The cluster.
    pub ClusterId,
);

impl Operation for JoinCluster {
    type Outcome = ();
    const GROWS: bool = false;

    fn weight(&self) -> usize {
        64
    }

    fn apply(&self, batch: &mut Batch<'_>) -> Result<(), OpError> {
        batch.join_cluster(self.0)
    }
}

/// Bytes of some facts.
pub(super) fn weight(puts: &[(Bytes, Option<Bytes>)]) -> usize {
    puts.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len) + 64).sum()
}

impl Batch<'_> {
    pub(super) fn put_facts(&mut self, puts: &[(Bytes, Option<Bytes>)]) {
        for (key, value) in puts {
            match value {
                Some(value) => self.rows.put(Space::Meta, key.clone(), value.clone()),
                None => self.rows.remove(Space::Meta, key.clone()),
            }
        }
    }

    /// Keeps the highest of what a peer ever told, and its actor id as last told; nothing is written if it is known.
    pub(super) fn mark(&mut self, told: Option<PeerMark>) -> Result<(), OpError> {
        let Some(mut mark) = told else { return Ok(()) };
        let key = MetaKey::Peer(mark.node_id).encode();
        if let Some(row) = self.rows.get(Space::Meta, &key)? {
            let known = PeerMark::decode(mark.node_id, &row)?;
            mark.commit = mark.commit.max(known.commit);
            mark.synced = mark.synced.max(known.synced);
            if mark == known {
                return Ok(());
            }
        }
        self.rows.put(Space::Meta, key, mark.encode());
        Ok(())
    }
}
