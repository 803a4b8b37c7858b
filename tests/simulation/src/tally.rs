//! How often what happened: so that a test can tell whether its seeds were worth running.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts, by what was counted. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<String, u64>>>);

impl Tally {
    /// Once more.
    pub fn count(&self, what: impl Into<String>) {
        self.add(what, 1);
    }

    /// So many times more.
    pub fn add(&self, what: impl Into<String>, times: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(what.into()).or_default() += times;
    }

    /// Everything that was counted.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often this was.
    pub fn of(&self, what: &str) -> u64 {
        self.counts().get(what).copied().unwrap_or_default()
    }
}
