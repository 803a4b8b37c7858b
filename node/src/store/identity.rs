//! Whose data it is: kept inside the database, so that a wiped disk is a new node.

use bytes::Bytes;
use dynamo_ring::{ClusterId, NodeId};

use super::error::StoreError;
use super::keys::MetaKey;
use super::rows;
use super::{Read, Space, Store, WriteBatch};
use crate::entropy::Entropy;
use crate::version::ActorId;

/// Whose data it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The data directory's name for itself.
    pub node_id: NodeId,
    /// The node's name in version vectors.
    pub actor: ActorId,
    /// The cluster it belongs to, once it has been told.
    pub cluster_id: Option<ClusterId>,
}

impl Identity {
    /// A new one.
    pub fn drawn(entropy: &Entropy) -> Self {
        Self { node_id: NodeId(entropy.draw()), actor: ActorId(entropy.draw()), cluster_id: None }
    }

    /// The identity in the store, if it has one.
    pub fn read(read: &(impl Read + ?Sized)) -> Result<Option<Self>, StoreError> {
        read.get(Space::Meta, &MetaKey::Identity.encode())?.map(|row| Self::decode(&row)).transpose()
    }

    /// The identity in the store, which becomes `fresh`, durably, if it has none. Before anything else is written.
    pub fn establish(store: &(impl Store + ?Sized), fresh: Self) -> Result<Self, StoreError> {
        match Self::read(store)? {
            Some(identity) => Ok(identity),
            None => fresh.write(store).map(|()| fresh),
        }
    }

    /// Makes this the store's identity, durably. Only while no commit thread runs; later that is
    /// [`NewActor`](super::NewActor)'s part.
    pub fn write(self, store: &(impl Store + ?Sized)) -> Result<(), StoreError> {
        let row = (Space::Meta, MetaKey::Identity.encode(), Some(self.encode()));
        store.write(WriteBatch { rows: vec![row], reserve: true })?;
        store.sync()
    }

    pub(crate) fn encode(self) -> Bytes {
        let cluster = self.cluster_id.map_or([0; 16], |id| id.0);
        let known = [u8::from(self.cluster_id.is_some())];
        rows::row([&self.node_id.0[..], &self.actor.0.to_be_bytes(), &known, &cluster])
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let wrong = || StoreError::corrupt("identity", "wrong length");
        let body = rows::body("identity", bytes)?;
        let (node_id, rest) = body.split_first_chunk().ok_or_else(wrong)?;
        let (actor, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let (&[known], cluster) = rest.split_first_chunk().ok_or_else(wrong)?;
        let cluster = ClusterId(cluster.try_into().map_err(|_| wrong())?);
        Ok(Self {
            node_id: NodeId(*node_id),
            actor: ActorId(u64::from_be_bytes(*actor)),
            cluster_id: (known != 0).then_some(cluster),
        })
    }
}
