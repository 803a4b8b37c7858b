//! What the client counts about itself.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the client was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Calls of get, put, delete and list, and items of batches.
    pub requests: u64,
    /// Attempts after the first of each request.
    pub retries: u64,
    /// Second attempts beside a first that was late.
    pub hedges: u64,
    /// Layout records taken that were newer than the one known.
    pub layouts: u64,
}

/// The counters behind [`Statistics`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) hedges: AtomicU64,
    pub(crate) layouts: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        // Only a figure: nothing is ordered by it.
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Statistics {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            requests: of(&self.requests),
            retries: of(&self.retries),
            hedges: of(&self.hedges),
            layouts: of(&self.layouts),
        }
    }
}
