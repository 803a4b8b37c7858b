//! How much is let in at a time: clients' requests, counted and weighed. Too much is refused at once, never queued.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds on what clients may have under way at this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Requests under way, those that others forward included.
    pub requests: usize,
    /// Bytes of keys and values under way.
    pub bytes: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { requests: 4096, bytes: 256 << 20 }
    }
}

/// Bytes of one permit of the weighing semaphore: a semaphore counts in u32, memory does not fit.
const UNIT: usize = 1024;

/// The requests under way. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate {
    limits: RequestLimits,
    requests: Arc<Semaphore>,
    units: Arc<Semaphore>,
}

/// One request under way; dropping it makes room. A write keeps it until nothing of it is left to do.
#[derive(Debug)]
#[must_use = "dropping it makes room for another request"]
pub struct Pass {
    _request: OwnedSemaphorePermit,
    _units: OwnedSemaphorePermit,
}

/// Too much is under way. Nothing was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Crowded {
    /// Too many requests.
    #[error("{0} requests are under way at this node, its limit; try again a little later")]
    Requests(usize),
    /// Too many bytes.
    #[error("{0} bytes of requests are under way at this node, its limit; try again a little later")]
    Bytes(usize),
    /// Too many bytes of answers. The read was carried out, and nothing changed by it.
    #[error(
        "{0} bytes of answers are on their way from this node, its limit (--max-answer-bytes); try again a little later"
    )]
    Answers(usize),
}

impl Gate {
    /// One with these limits, at least one request and as many bytes as that may have.
    pub fn new(limits: RequestLimits) -> Self {
        let count = |n: usize| Arc::new(Semaphore::new(n.clamp(1, Semaphore::MAX_PERMITS)));
        Self { limits, requests: count(limits.requests), units: count(limits.bytes / UNIT) }
    }

    /// Lets a request of so many bytes in, or refuses it at once.
    pub fn enter(&self, bytes: usize) -> Result<Pass, Crowded> {
        let request = Arc::clone(&self.requests).try_acquire_owned();
        let request = request.map_err(|_| Crowded::Requests(self.limits.requests))?;
        // One that is larger than the limit alone takes all of it.
        let units = (bytes / UNIT + 1).min((self.limits.bytes / UNIT).max(1));
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let units = Arc::clone(&self.units).try_acquire_many_owned(units);
        let units = units.map_err(|_| Crowded::Bytes(self.limits.bytes))?;
        Ok(Pass { _request: request, _units: units })
    }

    /// Bytes under way, each request rounded up to 1 KiB.
    pub fn bytes(&self) -> usize {
        let units = (self.limits.bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        units.saturating_sub(self.units.available_permits()) * UNIT
    }

    /// Requests under way.
    pub fn under_way(&self) -> usize {
        self.limits.requests.max(1).saturating_sub(self.requests.available_permits())
    }

    /// Returns once nothing is under way.
    pub async fn empty(&self) {
        let all = u32::try_from(self.limits.requests.max(1)).unwrap_or(u32::MAX);
        // Fails only if the semaphore is closed, which nobody does.
        let _ = self.requests.acquire_many(all).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_refuses_beyond_its_limits_at_once_and_names_them() {
        let gate = Gate::new(RequestLimits { requests: 2, bytes: 10 * UNIT });
        let first = gate.enter(100).unwrap();
        let second = gate.enter(100).unwrap();
        assert_eq!(gate.enter(100).unwrap_err(), Crowded::Requests(2));
        assert_eq!(gate.under_way(), 2);
        drop(first);
        assert_eq!(gate.enter(9 * UNIT).unwrap_err(), Crowded::Bytes(10 * UNIT));
        drop(second);
        let _all = gate.enter(usize::MAX).unwrap();
        assert_eq!(gate.under_way(), 1, "one that is larger than all goes alone");
        assert_eq!(gate.enter(1).unwrap_err(), Crowded::Bytes(10 * UNIT));
    }

    #[tokio::test]
    async fn it_tells_when_all_have_gone() {
        let gate = Gate::new(RequestLimits { requests: 2, bytes: 10 * UNIT });
        let pass = gate.enter(1).unwrap();
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.empty().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(pass);
        waiting.await.unwrap();
    }
}
