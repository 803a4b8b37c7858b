//! The streams that members have opened here, on the called side. Of each member only the latest counts.
//!
//! A stream keeps its order, but a member whose stream breaks opens another, and what the broken one still holds in some
//! buffer could then be read after what the new one brought. So a stream gets a number when it is greeted, and from then
//! on nothing more is taken from an earlier one of the same member: its unread messages are void. Whoever sent them has
//! been told that the connection broke.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynamo_ring::NodeId;

use crate::begun::{Begun, Running};

#[derive(Debug, Default)]
struct Inner {
    last: AtomicU64,
    current: Mutex<BTreeMap<NodeId, u64>>,
    begun: Begun<NodeId>,
}

/// The streams of all members. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Streams {
    inner: Arc<Inner>,
}

impl Streams {
    fn current(&self) -> MutexGuard<'_, BTreeMap<NodeId, u64>> {
        self.inner.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A member has opened a stream. From now on it is the only one of that member.
    pub fn open(&self, from: NodeId) -> u64 {
        let mut current = self.current();
        let number = self.inner.last.fetch_add(1, Ordering::Relaxed) + 1;
        current.insert(from, number);
        number
    }

    /// Takes a request from a stream; nothing if the stream is void. The request runs until what is returned is dropped.
    pub fn begin(&self, from: NodeId, stream: u64) -> Option<Running<NodeId>> {
        // Under the lock: between the look and the beginning no other stream may be opened.
        let current = self.current();
        (current.get(&from) == Some(&stream)).then(|| self.inner.begun.begin(from))
    }

    /// Whether this is the one stream of that member that counts.
    pub fn is_current(&self, from: NodeId, stream: u64) -> bool {
        self.current().get(&from) == Some(&stream)
    }

    /// Waits until every request that was taken from any stream of this member before this call has ended.
    pub async fn ended(&self, from: NodeId) {
        self.inner.begun.ended(from).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_new_stream_makes_unread_messages_of_the_old_one_void() {
        let (streams, a, b) = (Streams::default(), NodeId([1; 16]), NodeId([2; 16]));
        let (old, other) = (streams.open(a), streams.open(b));
        let read = streams.begin(a, old).unwrap();
        let new = streams.open(a);
        assert!(streams.begin(a, old).is_none() && !streams.is_current(a, old));
        assert!(streams.begin(a, new).is_some() && streams.is_current(a, new));
        assert!(streams.begin(b, other).is_some() && streams.begin(b, new).is_none());
        assert!(streams.begin(NodeId([3; 16]), 1).is_none(), "it never greeted");

        // What was read from the old one runs on, and whoever asks waits for it.
        assert!(streams.ended(a).now_or_never().is_none());
        assert!(streams.ended(b).now_or_never().is_some());
        drop(read);
        assert!(streams.ended(a).now_or_never().is_some());
    }
}
