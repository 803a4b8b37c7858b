//! What this node says of itself with every frame.
//!
//! Until the start has decided whether the node is still who it was, it tells the commit number that it found on disk and
//! no later one. The decision compares that number with what peers know; a batch of this life, told too early, would
//! come back as if an earlier life had written it, and the node would take itself for one that was set back.
//!
//! For the same reason a member is told no later number before it has said, in this life, what it knows: its answer to a
//! greeting may be lost on the way, and what that greeting told would come with the answer to the next.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

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
    /// The last batch that was found on disk.
    found: u64,
    /// The start has decided.
    settled: AtomicBool,
    /// Members that have said, in this life, what they know of this node.
    heard: Mutex<BTreeSet<NodeId>>,
}

impl Voice {
    /// The voice of the node `name`, before anything was written in this life.
    pub fn new(
        name: String,
        node_id: NodeId,
        actor: ActorId,
        committer: Committer,
        layouts: Layouts,
    ) -> Self {
        let found = committer.last_commit();
        let (settled, heard) = (AtomicBool::new(false), Mutex::default());
        Self { name, node_id, actor: actor.0.into(), committer, layouts, found, settled, heard }
    }

    /// Number of the last batch that was found on disk, before anything was written in this life.
    pub const fn found(&self) -> u64 {
        self.found
    }

    /// From now on the numbers of this life are told.
    pub fn settle(&self) {
        self.settled.store(true, Ordering::Release);
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

    /// `peer` has said what it knows of this node, and may be told the numbers of this life; whether it was the first time.
    pub fn heard(&self, peer: NodeId) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).insert(peer)
    }

    /// What goes into a frame to `peer` that is sent now; to one that is not known, if there is none.
    pub fn to(&self, peer: Option<NodeId>) -> Sender {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        self.says(peer.is_some_and(|peer| heard.contains(&peer)))
    }

    /// Who this node is and how far it has come, for those who keep no mark of it.
    pub fn sender(&self) -> Sender {
        self.says(true)
    }

    fn says(&self, numbers_of_this_life: bool) -> Sender {
        let (commit, synced) = if numbers_of_this_life && self.settled.load(Ordering::Acquire) {
            // Synced before commit: read the other way round, a sync between the two would show more synced than written.
            let synced = self.committer.last_synced();
            (self.committer.last_commit(), synced)
        } else {
            (self.found, self.found)
        };
        let actor = ActorId(self.actor.load(Ordering::Acquire));
        let mark = PeerMark { node_id: self.node_id, actor, commit, synced };
        let cluster_id = self.layouts.current().map(|standing| standing.record.cluster_id());
        Sender { cluster_id, mark }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::entropy::Entropy;
    use crate::store::{Identity, Limits, Local, MemoryStore, PutMeta, QueueLimits};

    #[test]
    fn lesson_2_nothing_of_this_life_is_told_before_the_start_has_decided() {
        let store = Arc::new(MemoryStore::new());
        let identity = Identity::establish(&*store, Identity::drawn(&Entropy::from_os())).unwrap();
        let (limits, queue) = (Limits::default(), QueueLimits::default());
        let (committer, mut pump) = Committer::manual(Arc::clone(&store) as _, limits, queue).unwrap();
        let mut write = || {
            drop(committer.submit(PutMeta::retired()).unwrap());
            pump.write();
        };
        write();
        let found = committer.last_commit();
        let (layouts, _keeper) =
            Layouts::open(Local::new(store), committer.clone(), identity.node_id).unwrap();
        let name = "cart-0".to_owned();
        let voice = Voice::new(name, identity.node_id, identity.actor, committer.clone(), layouts);
        write();
        let told = voice.sender().mark;
        assert_eq!((told.commit, told.synced), (found, found));
        assert_eq!(voice.found(), found);
        voice.settle();
        let told = voice.sender().mark;
        assert_eq!((told.commit, told.synced), (found + 1, 0), "written, and not yet synced");

        let (peer, other) = (NodeId([1; 16]), NodeId([2; 16]));
        let told = |to| voice.to(to).mark.commit;
        assert_eq!(told(Some(peer)), found, "it has not said what it knows");
        assert!(voice.heard(peer) && !voice.heard(peer));
        assert_eq!([told(Some(peer)), told(Some(other)), told(None)], [found + 1, found, found]);
    }
}
