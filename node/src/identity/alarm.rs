//! Raised once, when a peer proves that this node was set back to an older copy of its data.

use std::sync::Arc;

use dynamo_proto::v1::HelloReply;
use dynamo_ring::NodeId;
use tokio::sync::watch;

use crate::peer::OnHello;
use crate::planted::{self, Fault};
use crate::store::Committer;

/// This node's data is an older copy of what it once had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this data directory was set back: {peer} knows that batch {synced} was on its disk, and the last one here is {own}; \
     it is set aside, and the next start joins empty under a new node id"
)]
pub struct SetBack {
    /// Who knows.
    pub peer: NodeId,
    /// What it knows to have been on disk.
    pub synced: u64,
    /// The last batch here.
    pub own: u64,
}

/// Stays raised once it is. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Alarm(Arc<watch::Sender<Option<SetBack>>>);

impl Default for Alarm {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Alarm {
    /// Raises it; the first reason stays.
    pub fn raise(&self, set_back: SetBack) {
        if planted::is(Fault::ServeSetBack) {
            return;
        }
        self.0.send_if_modified(|raised| {
            let first = raised.is_none();
            raised.get_or_insert(set_back);
            first
        });
    }

    /// Waits until it is raised.
    pub async fn raised(&self) -> SetBack {
        let mut raised = self.0.subscribe();
        loop {
            if let Some(set_back) = *raised.borrow_and_update() {
                return set_back;
            }
            if raised.changed().await.is_err() {
                // Cannot be: this alarm holds the sender.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Listens to what peers say when they are greeted, for as long as the node runs: the one that knows may come back
    /// long after the start.
    pub fn listener(&self, committer: Committer) -> OnHello {
        let alarm = self.clone();
        Arc::new(move |peer: NodeId, hello: &HelloReply| {
            let own = committer.last_commit();
            if hello.known_synced > own {
                alarm.raise(SetBack { peer, synced: hello.known_synced, own });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays() {
        let alarm = Alarm::default();
        let first = SetBack { peer: NodeId([1; 16]), synced: 9, own: 3 };
        alarm.raise(first);
        alarm.raise(SetBack { synced: 10, ..first });
        assert_eq!(alarm.raised().await, first);
    }
}
