//! The bounded queue in front of the commit thread. Full means refused at once, never a longer wait.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::error::SubmitError;

/// Bounds of the queue and of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Operations that may wait.
    pub waiting: usize,
    /// Bytes that may wait: so many of operations up to 1 MiB, and so many of larger ones, so that neither keep the
    /// others out. One that is larger alone is let in when no other of its kind waits.
    pub waiting_bytes: usize,
    /// Operations in one batch.
    pub batch: usize,
    /// Bytes in one batch, but for one operation that is larger.
    pub batch_bytes: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { waiting: 8192, waiting_bytes: 64 << 20, batch: 1024, batch_bytes: 8 << 20 }
    }
}

#[derive(Debug)]
enum Door {
    Open,
    /// No more comes in; what waits is still taken.
    Closed,
    /// The store failed; what waited was thrown out.
    Failed(String),
}

/// An operation above this, in bytes, counts among the large ones.
const LARGE: usize = 1 << 20;

#[derive(Debug)]
struct Inner<T> {
    waiting: VecDeque<(usize, T)>,
    small_bytes: usize,
    large_bytes: usize,
    door: Door,
}

impl<T> Inner<T> {
    /// The bytes that wait of operations of this kind.
    const fn bytes_like(&mut self, weight: usize) -> &mut usize {
        if weight > LARGE { &mut self.large_bytes } else { &mut self.small_bytes }
    }
}

/// Things with their weights, first in, first out.
#[derive(Debug)]
pub(super) struct Queue<T> {
    limits: QueueLimits,
    inner: Mutex<Inner<T>>,
    changed: Condvar,
    /// For whoever waits without a thread.
    filled: Notify,
}

impl<T> Queue<T> {
    pub(super) fn new(limits: QueueLimits) -> Self {
        let inner = Inner { waiting: VecDeque::new(), small_bytes: 0, large_bytes: 0, door: Door::Open };
        Self { limits, inner: Mutex::new(inner), changed: Condvar::new(), filled: Notify::new() }
    }

    /// Nothing that holds the lock can panic half way, so a poisoned lock guards whole data.
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, weight: usize, item: T) -> Result<(), SubmitError> {
        let mut inner = self.lock();
        match &inner.door {
            Door::Open => {}
            Door::Closed => return Err(SubmitError::Stopped),
            Door::Failed(why) => return Err(SubmitError::Fatal(why.clone())),
        }
        let full = inner.waiting.len() >= self.limits.waiting;
        let bytes = inner.bytes_like(weight);
        if full || (*bytes > 0 && bytes.saturating_add(weight) > self.limits.waiting_bytes) {
            return Err(SubmitError::Overloaded);
        }
        *bytes += weight;
        inner.waiting.push_back((weight, item));
        self.changed.notify_one();
        self.filled.notify_one();
        Ok(())
    }

    /// The next batch; empty if nothing waits.
    pub(super) fn take(&self) -> Vec<T> {
        self.drain(&mut self.lock())
    }

    /// The next batch, as soon as there is one, or an empty one when it is `due`; `None` once the queue is closed and
    /// empty.
    pub(super) fn wait(&self, due: Option<Instant>) -> Option<Vec<T>> {
        let mut inner = self.lock();
        while inner.waiting.is_empty() {
            if !matches!(inner.door, Door::Open) {
                return None;
            }
            let Some(due) = due else {
                inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let rest = due.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Some(Vec::new());
            }
            inner = self.changed.wait_timeout(inner, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(self.drain(&mut inner))
    }

    /// Waits until something waits; false once the queue is closed and empty. One caller only.
    pub(super) async fn filled(&self) -> bool {
        loop {
            if let Some(filled) = self.is_filled() {
                return filled;
            }
            self.filled.notified().await;
        }
    }

    /// Whether something waits; `None` while nothing does and something may come.
    fn is_filled(&self) -> Option<bool> {
        let inner = self.lock();
        let is_open = matches!(inner.door, Door::Open);
        (!inner.waiting.is_empty()).then_some(true).or((!is_open).then_some(false))
    }

    fn drain(&self, inner: &mut Inner<T>) -> Vec<T> {
        let (mut batch, mut bytes) = (Vec::new(), 0usize);
        while batch.len() < self.limits.batch
            && let Some((weight, _)) = inner.waiting.front()
            && (batch.is_empty() || bytes.saturating_add(*weight) <= self.limits.batch_bytes)
            && let Some((weight, item)) = inner.waiting.pop_front()
        {
            bytes = bytes.saturating_add(weight);
            *inner.bytes_like(weight) -= weight;
            batch.push(item);
        }
        batch
    }

    /// Operations and bytes that wait.
    pub(super) fn depth(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.waiting.len(), inner.small_bytes + inner.large_bytes)
    }

    /// Lets nothing more in; what waits is still taken.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        if matches!(inner.door, Door::Open) {
            inner.door = Door::Closed;
        }
        self.changed.notify_all();
        self.filled.notify_one();
    }

    /// Lets nothing more in, for this reason, and throws out what waits.
    pub(super) fn fail(&self, why: &str) -> Vec<T> {
        let mut inner = self.lock();
        inner.door = Door::Failed(why.to_owned());
        (inner.small_bytes, inner.large_bytes) = (0, 0);
        let waiting = std::mem::take(&mut inner.waiting);
        self.changed.notify_all();
        self.filled.notify_one();
        waiting.into_iter().map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue<u8> {
        Queue::new(QueueLimits { waiting: 3, waiting_bytes: 10, batch: 2, batch_bytes: 6 })
    }

    #[test]
    fn it_refuses_beyond_its_bounds_at_once() {
        let queue = queue();
        assert_eq!(queue.push(100, 1), Ok(()), "one that is too large for any queue goes alone");
        assert_eq!(queue.push(1, 2), Err(SubmitError::Overloaded));
        assert_eq!(queue.take(), [1]);
        for item in [1, 2, 3] {
            assert_eq!(queue.push(1, item), Ok(()));
        }
        assert_eq!(queue.push(0, 4), Err(SubmitError::Overloaded));
        assert_eq!(queue.depth(), (3, 3));
    }

    #[test]
    fn large_operations_keep_no_small_ones_out_nor_the_other_way_round() {
        let queue = queue();
        assert_eq!(queue.push(10, 1), Ok(()));
        assert_eq!(queue.push(LARGE + 1, 2), Ok(()), "no other large one waits");
        assert_eq!(queue.push(LARGE + 1, 3), Err(SubmitError::Overloaded));
        assert_eq!(queue.push(1, 4), Err(SubmitError::Overloaded));
        assert_eq!(queue.depth(), (2, LARGE + 11));
        assert_eq!((queue.take(), queue.depth()), (vec![1], (1, LARGE + 1)));
        assert_eq!(queue.push(1, 4), Ok(()));
        assert_eq!((queue.take(), queue.take()), (vec![2], vec![4]));
        assert_eq!(queue.depth(), (0, 0));
    }

    #[test]
    fn a_batch_is_bounded_by_count_and_by_bytes() {
        let queue = queue();
        for (weight, item) in [(4, 1), (3, 2), (1, 3)] {
            queue.push(weight, item).unwrap();
        }
        assert_eq!(queue.take(), [1], "4 and 3 are more than 6");
        assert_eq!(queue.take(), [2, 3]);
        assert!(queue.take().is_empty());
    }

    #[test]
    fn a_closed_queue_is_emptied_a_failed_one_thrown_out() {
        let closed = queue();
        closed.push(1, 1).unwrap();
        closed.close();
        assert_eq!(closed.push(1, 2), Err(SubmitError::Stopped));
        assert_eq!(closed.wait(None), Some(vec![1]));
        assert_eq!(closed.wait(None), None);

        let failed = queue();
        failed.push(1, 1).unwrap();
        assert_eq!(failed.fail("disk"), [1]);
        assert_eq!(failed.wait(None), None);
        assert_eq!(failed.push(1, 2), Err(SubmitError::Fatal("disk".into())));
    }
}
