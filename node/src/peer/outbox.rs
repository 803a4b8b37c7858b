//! What waits to be sent on one stream: bounded by count and by bytes, handed out in batches.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Bounds of what waits, and of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Messages that may wait.
    pub waiting: usize,
    /// Bytes that may wait. A message that is larger alone is let in when nothing else waits.
    pub waiting_bytes: usize,
    /// Messages in one frame.
    pub frame: usize,
    /// Bytes in one frame, but for one message that is larger.
    pub frame_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { waiting: 4096, waiting_bytes: 32 << 20, frame: 256, frame_bytes: 512 << 10 }
    }
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The bound is reached.
    #[error("too much waits to be sent")]
    Full,
    /// The stream is gone.
    #[error("the stream is closed")]
    Closed,
}

#[derive(Debug)]
struct Inner<T> {
    waiting: VecDeque<(usize, T)>,
    bytes: usize,
    closed: bool,
}

/// Messages with their bytes, first in, first out.
#[derive(Debug)]
pub struct Outbox<T> {
    bounds: Bounds,
    inner: Mutex<Inner<T>>,
    filled: Notify,
    drained: Notify,
}

impl<T> Outbox<T> {
    /// An empty one.
    pub fn new(bounds: Bounds) -> Self {
        let inner = Inner { waiting: VecDeque::new(), bytes: 0, closed: false };
        Self { bounds, inner: Mutex::new(inner), filled: Notify::new(), drained: Notify::new() }
    }

    /// Nothing that holds the lock can panic half way, so a poisoned lock guards whole data.
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message of so many bytes, or refuses it at once.
    pub fn push(&self, bytes: usize, message: T) -> Result<(), NotTaken> {
        self.try_push(bytes, message).map_err(|(why, _)| why)
    }

    /// Takes a message of so many bytes as soon as there is room. For answers: they must not be lost, and what they
    /// answer was bounded already.
    pub async fn push_when_room(&self, bytes: usize, message: T) -> Result<(), NotTaken> {
        let mut message = message;
        loop {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            // Registered before looking, so that no wake-up falls between.
            drained.as_mut().enable();
            match self.try_push(bytes, message) {
                Ok(()) => return Ok(()),
                Err((NotTaken::Closed, _)) => return Err(NotTaken::Closed),
                Err((NotTaken::Full, back)) => message = back,
            }
            drained.await;
        }
    }

    fn try_push(&self, bytes: usize, message: T) -> Result<(), (NotTaken, T)> {
        let mut inner = self.lock();
        if inner.closed {
            return Err((NotTaken::Closed, message));
        }
        let too_large = inner.bytes.saturating_add(bytes) > self.bounds.waiting_bytes;
        if inner.waiting.len() >= self.bounds.waiting || (too_large && !inner.waiting.is_empty()) {
            return Err((NotTaken::Full, message));
        }
        inner.bytes = inner.bytes.saturating_add(bytes);
        inner.waiting.push_back((bytes, message));
        self.filled.notify_one();
        Ok(())
    }

    /// The messages of the next frame, as soon as there are any; `None` once it is closed and empty. One caller only.
    pub async fn frame(&self) -> Option<Vec<T>> {
        loop {
            {
                let mut inner = self.lock();
                let frame = self.take(&mut inner);
                if !frame.is_empty() {
                    self.drained.notify_waiters();
                    return Some(frame);
                }
                if inner.closed {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }

    fn take(&self, inner: &mut Inner<T>) -> Vec<T> {
        let (mut frame, mut bytes) = (Vec::new(), 0usize);
        while frame.len() < self.bounds.frame
            && let Some((more, _)) = inner.waiting.front()
            && (frame.is_empty() || bytes.saturating_add(*more) <= self.bounds.frame_bytes)
            && let Some((more, message)) = inner.waiting.pop_front()
        {
            bytes = bytes.saturating_add(more);
            inner.bytes = inner.bytes.saturating_sub(more);
            frame.push(message);
        }
        frame
    }

    /// Lets nothing more in. What waits is still handed out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
        self.drained.notify_waiters();
    }

    /// Messages and bytes that wait.
    pub fn depth(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.waiting.len(), inner.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn outbox() -> Outbox<u8> {
        Outbox::new(Bounds { waiting: 3, waiting_bytes: 10, frame: 2, frame_bytes: 6 })
    }

    #[tokio::test]
    async fn it_is_bounded_by_count_and_by_bytes_and_refuses_at_once() {
        let outbox = outbox();
        assert_eq!(outbox.push(100, 1), Ok(()), "one that is too large for any box goes alone");
        assert_eq!(outbox.push(1, 2), Err(NotTaken::Full));
        assert_eq!(outbox.frame().await, Some(vec![1]));
        for message in [1, 2, 3] {
            assert_eq!(outbox.push(1, message), Ok(()));
        }
        assert_eq!(outbox.push(0, 4), Err(NotTaken::Full));
        assert_eq!(outbox.depth(), (3, 3));
    }

    #[tokio::test]
    async fn a_frame_is_bounded_by_count_and_by_bytes() {
        let outbox = outbox();
        for (bytes, message) in [(4, 1), (3, 2), (1, 3)] {
            outbox.push(bytes, message).unwrap();
        }
        assert_eq!(outbox.frame().await, Some(vec![1]), "4 and 3 are more than 6");
        assert_eq!(outbox.frame().await, Some(vec![2, 3]));
    }

    #[tokio::test]
    async fn who_waits_for_room_gets_it_when_a_frame_was_taken() {
        let outbox = Arc::new(outbox());
        outbox.push(10, 1).unwrap();
        let waiting = tokio::spawn({
            let outbox = Arc::clone(&outbox);
            async move { outbox.push_when_room(10, 2).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(outbox.depth(), (1, 10));
        assert_eq!(outbox.frame().await, Some(vec![1]));
        assert_eq!(waiting.await.unwrap(), Ok(()));
        assert_eq!(outbox.frame().await, Some(vec![2]));
    }

    #[tokio::test]
    async fn a_closed_one_is_emptied_and_lets_nobody_wait() {
        let outbox = Arc::new(outbox());
        outbox.push(10, 1).unwrap();
        let waiting = tokio::spawn({
            let outbox = Arc::clone(&outbox);
            async move { outbox.push_when_room(10, 2).await }
        });
        tokio::task::yield_now().await;
        outbox.close();
        assert_eq!(waiting.await.unwrap(), Err(NotTaken::Closed));
        assert_eq!(outbox.push(1, 3), Err(NotTaken::Closed));
        assert_eq!(outbox.frame().await, Some(vec![1]));
        assert_eq!(outbox.frame().await, None);
    }
}
