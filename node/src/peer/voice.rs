//! What this node says of itself with every frame.

use std::sync::atomic::{AtomicU64, Ordering};

use dynamo_ring::NodeId;

use super::wire::Sender;
use crate::layout::Layouts;
use crate::store::{Committer, PeerMark};
use crate::version::ActorId;

/// Who this node is, and how far it has come.
#[derive(Debug)]
pub struct Voice {
    name: String,
    node_id: NodeId,
    actor: AtomicU64,
    committer: Committer,
    layouts: Layouts,
}

impl Voice {
    /// The voice of the node `name`.
    pub fn new(
        name: String,
        node_id: NodeId,
        actor: ActorId,
        committer: Committer,
        layouts: Layouts,
    ) -> Self {
        Self { name, node_id, actor: actor.0.into(), committer, layouts }
    }

    /// The pod's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The data directory's name for itself.
    pub const fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// From now on this node writes under another actor id.
    pub fn set_actor(&self, actor: ActorId) {
        self.actor.store(actor.0, Ordering::Release);
    }

    /// What goes into a frame that is sent now.
    pub fn sender(&self) -> Sender {
        // Synced before commit: read the other way round, a sync between the two would show more synced than written.
        let synced = self.committer.last_synced();
        let mark = PeerMark {
            node_id: self.node_id,
            actor: ActorId(self.actor.load(Ordering::Acquire)),
            commit: self.committer.last_commit(),
            synced,
        };
        let cluster_id = self.layouts.current().map(|standing| standing.record.cluster_id());
        Sender { cluster_id, mark }
    }
}
