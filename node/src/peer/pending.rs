//! Which answers are waited for, by the ids of their requests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynamo_proto::v1::response::Result as Body;
use tokio::sync::oneshot;

#[derive(Debug, Default)]
struct Inner {
    waiting: BTreeMap<u64, Open>,
    closed: bool,
}

/// Who waits for one answer.
#[derive(Debug)]
struct Open {
    give: oneshot::Sender<Result<Body, Unanswered>>,
    /// Bytes of the answer, once its first part has come; 0 before.
    coming: usize,
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The stream broke first.
    Gone,
    /// The answer is large, and there is no room for it beside others.
    NoRoom { bytes: usize, room: usize },
}

/// The open requests of one stream.
#[derive(Debug, Default)]
pub(super) struct Pending {
    next: AtomicU64,
    inner: Mutex<Inner>,
}

/// One open request. Dropping it is giving up: the answer, should it still come, is thrown away.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The id that the answer will carry.
    pub(super) id: u64,
    answer: oneshot::Receiver<Result<Body, Unanswered>>,
    pending: Arc<Pending>,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a request, unless `limit` are open already. On a stream that is gone it is answered by [`Waiting::answer`],
    /// like any other that the stream took with it.
    pub(super) fn open(self: &Arc<Self>, limit: usize) -> Option<Waiting> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (give, answer) = oneshot::channel();
        let mut inner = self.lock();
        if inner.waiting.len() >= limit {
            return None;
        }
        if !inner.closed {
            inner.waiting.insert(id, Open { give, coming: 0 });
        }
        drop(inner);
        Some(Waiting { id, answer, pending: Arc::clone(self) })
    }

    /// Brings an answer. One that nobody waits for is thrown away.
    pub(super) fn answer(&self, id: u64, body: Body) {
        self.end(id, Ok(body));
    }

    /// The answer has so many bytes, and finds no room in `room`.
    pub(super) fn no_room(&self, id: u64, bytes: usize, room: usize) {
        self.end(id, Err(Unanswered::NoRoom { bytes, room }));
    }

    fn end(&self, id: u64, answer: Result<Body, Unanswered>) {
        let open = self.lock().waiting.remove(&id);
        if let Some(open) = open {
            // Whoever asked may have gone this moment.
            let _ = open.give.send(answer);
        }
    }

    /// An answer of so many bytes has begun to come.
    pub(super) fn coming(&self, id: u64, bytes: usize) {
        if let Some(open) = self.lock().waiting.get_mut(&id) {
            open.coming = bytes;
        }
    }

    /// Whether somebody waits for the answer to this request.
    pub(super) fn is_open(&self, id: u64) -> bool {
        self.lock().waiting.contains_key(&id)
    }

    /// The stream is gone: nobody waits any longer.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.waiting.clear();
    }
}

impl Waiting {
    /// The answer, or why there is none.
    pub(super) async fn answer(&mut self) -> Result<Body, Unanswered> {
        (&mut self.answer).await.unwrap_or(Err(Unanswered::Gone))
    }
}

impl Waiting {
    /// Bytes of the answer, if it has begun to come in parts; 0 otherwise.
    pub(super) fn coming(&self) -> usize {
        self.pending.lock().waiting.get(&self.id).map_or(0, |open| open.coming)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.pending.lock().waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use dynamo_proto::v1::{LayoutReply, StoreReply};

    use super::*;

    #[tokio::test]
    async fn answers_find_their_requests_in_any_order() {
        let pending = Arc::new(Pending::default());
        let (mut a, mut b) = (pending.open(2).unwrap(), pending.open(2).unwrap());
        assert!(pending.open(2).is_none(), "two are open");
        pending.answer(b.id, Body::Layout(LayoutReply::default()));
        pending.answer(a.id, Body::Store(StoreReply {}));
        pending.answer(99, Body::Store(StoreReply {}));
        assert_eq!(a.answer().await, Ok(Body::Store(StoreReply {})));
        assert_eq!(b.answer().await, Ok(Body::Layout(LayoutReply::default())));
        let mut c = pending.open(2).unwrap();
        assert!(pending.is_open(c.id));
        pending.no_room(c.id, 9, 8);
        assert_eq!(c.answer().await, Err(Unanswered::NoRoom { bytes: 9, room: 8 }));
        assert!(!pending.is_open(c.id));
        let d = pending.open(2).unwrap();
        assert_eq!(d.coming(), 0);
        pending.coming(d.id, 70);
        assert_eq!(d.coming(), 70);
    }

    #[tokio::test]
    async fn one_that_gave_up_makes_room() {
        let pending = Arc::new(Pending::default());
        drop(pending.open(1).unwrap());
        assert!(pending.open(1).is_some());
    }

    #[tokio::test]
    async fn a_stream_that_breaks_leaves_nobody_waiting() {
        let pending = Arc::new(Pending::default());
        let mut before = pending.open(9).unwrap();
        pending.close();
        assert_eq!(before.answer().await, Err(Unanswered::Gone));
        assert_eq!(pending.open(9).unwrap().answer().await, Err(Unanswered::Gone));
    }
}
