//! What peers say of this node when they are greeted for the first time in this life.
//!
//! What a peer knows then it was told by an earlier life: this one tells it nothing before ([`Voice::to`]). So it is held
//! against what this life found on disk, not against what it has written since: a few new batches would hide that a few
//! old ones are missing.

use std::sync::Arc;

use dynamo_proto::v1::HelloReply;
use dynamo_ring::NodeId;

use crate::identity::{Alarm, SetBack};
use crate::peer::{OnHello, Voice};
use crate::store::Committer;

/// Listens to greetings, and raises the alarm if one proves that this node was set back.
pub(super) fn listener(alarm: &Alarm, voice: Arc<Voice>, committer: Committer) -> OnHello {
    let (later, alarm) = (alarm.listener(committer), alarm.clone());
    Arc::new(move |peer: NodeId, hello: &HelloReply| {
        let (is_first, found) = (voice.heard(peer), voice.found());
        if is_first && hello.known_synced > found {
            alarm.raise(SetBack { peer, synced: hello.known_synced, own: found });
        } else {
            later(peer, hello);
        }
    })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::entropy::Entropy;
    use crate::layout::Layouts;
    use crate::store::{Identity, Limits, Local, MemoryStore, PutMeta, QueueLimits};

    fn hello(known_synced: u64) -> HelloReply {
        HelloReply { known_synced, known_commit: known_synced, ..HelloReply::default() }
    }

    #[tokio::test]
    async fn batches_of_this_life_neither_hide_nor_feign_a_set_back() {
        let store = Arc::new(MemoryStore::default());
        let identity = Identity::establish(&*store, Identity::drawn(&Entropy::from_os())).unwrap();
        let (limits, queue) = (Limits::default(), QueueLimits::default());
        let (committer, mut pump) = Committer::manual(Arc::clone(&store) as _, limits, queue).unwrap();
        let found = committer.last_commit();
        let (layouts, _keeper) =
            Layouts::open(Local::new(store), committer.clone(), identity.node_id).unwrap();
        let name = "cart-0".to_owned();
        let voice = Voice::new(name, identity.node_id, identity.actor, committer.clone(), layouts);
        for _ in 0..3 {
            drop(committer.submit(PutMeta::retired()).unwrap());
            pump.write();
            pump.sync();
        }
        assert_eq!(committer.last_commit(), found + 3);

        let alarm = Alarm::default();
        let greeted = listener(&alarm, Arc::new(voice), committer);
        let (peer, other) = (NodeId([1; 16]), NodeId([2; 16]));
        greeted(peer, &hello(found));
        greeted(peer, &hello(found + 3));
        assert!(alarm.raised().now_or_never().is_none(), "told by this life, on an earlier stream");
        greeted(other, &hello(found + 1));
        let set_back = SetBack { peer: other, synced: found + 1, own: found };
        assert_eq!(alarm.raised().now_or_never(), Some(set_back), "told by an earlier life");
    }
}
