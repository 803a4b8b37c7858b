//! What has begun and not ended, and waiting for all of it that began before now.
//!
//! A round of reaping rests on this: work that began before it may still carry what has been deleted since.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug)]
struct Open<K> {
    next: u64,
    /// Of what each is, and its number.
    running: BTreeSet<(K, u64)>,
}

#[derive(Debug)]
struct Inner<K> {
    open: Mutex<Open<K>>,
    ended: Notify,
}

impl<K> Inner<K> {
    /// Nothing that holds the lock can panic half way, so a poisoned lock guards whole data.
    fn lock(&self) -> MutexGuard<'_, Open<K>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has begun and not ended, told apart by `K`. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Begun<K: Ord + Copy> {
    inner: Arc<Inner<K>>,
}

/// One piece of work, until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it says that the work has ended"]
pub struct Running<K: Ord + Copy> {
    inner: Arc<Inner<K>>,
    me: (K, u64),
}

impl<K: Ord + Copy> Default for Begun<K> {
    fn default() -> Self {
        let open = Mutex::new(Open { next: 0, running: BTreeSet::new() });
        Self { inner: Arc::new(Inner { open, ended: Notify::new() }) }
    }
}

impl<K: Ord + Copy> Begun<K> {
    /// Something of `of` begins.
    pub fn begin(&self, of: K) -> Running<K> {
        let mut open = self.inner.lock();
        let me = (of, open.next);
        open.next += 1;
        open.running.insert(me);
        drop(open);
        Running { inner: Arc::clone(&self.inner), me }
    }

    /// Waits until everything of `of` that had begun before this call has ended. What begins later is not waited for.
    pub async fn ended(&self, of: K) {
        let now = self.inner.lock().next;
        loop {
            let ended = self.inner.ended.notified();
            tokio::pin!(ended);
            // Registered before looking, so that no end falls between.
            ended.as_mut().enable();
            if self.inner.lock().running.range((of, 0)..(of, now)).next().is_none() {
                return;
            }
            ended.await;
        }
    }
}

impl<K: Ord + Copy> Drop for Running<K> {
    fn drop(&mut self) {
        self.inner.lock().running.remove(&self.me);
        self.inner.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_began_before_is_waited_for_and_what_begins_later_is_not() {
        let begun = Begun::default();
        let (first, second, other) = (begun.begin(1), begun.begin(1), begun.begin(2));
        let mut ended = Box::pin(begun.ended(1));
        assert_eq!(ended.as_mut().now_or_never(), None);
        let later = begun.begin(1);
        drop(second);
        assert_eq!(ended.as_mut().now_or_never(), None);
        drop(first);
        assert_eq!(ended.now_or_never(), Some(()), "neither the later one nor the other kind");
        assert_eq!(begun.ended(3).now_or_never(), Some(()));
        drop((later, other));
        assert_eq!(begun.ended(1).now_or_never(), Some(()));
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let begun = Begun::default();
        let running = begun.begin(());
        let waiting = tokio::spawn({
            let begun = begun.clone();
            async move { begun.ended(()).await }
        });
        tokio::task::yield_now().await;
        drop(running);
        waiting.await.unwrap();
    }
}
