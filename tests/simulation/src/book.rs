//! The layout record as a ConfigMap keeps it: replaced only by whoever has seen what stands. It remembers what stood before,
//! for views that are stale and layouts that come late.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynamo_ring::{Record, Step};

use crate::net::machine;

/// A record, and which version of it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What a replacement has to name.
    pub version: usize,
    /// What it says.
    pub record: Arc<Record>,
}

/// All versions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Book {
    versions: Arc<Mutex<Vec<Arc<Record>>>>,
}

impl Book {
    /// One that begins with the first layout.
    pub fn new(first: Record) -> Self {
        Self { versions: Arc::new(Mutex::new(vec![Arc::new(first)])) }
    }

    fn versions(&self) -> MutexGuard<'_, Vec<Arc<Record>>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stood so many versions ago; the first if there were fewer.
    pub fn ago(&self, back: usize) -> Seen {
        let versions = self.versions();
        let version = versions.len().saturating_sub(1 + back);
        Seen { version, record: Arc::clone(&versions[version]) }
    }

    /// What stands.
    pub fn latest(&self) -> Seen {
        self.ago(0)
    }

    /// Replaces what `seen` shows, if that still stands. Whether it did.
    pub fn replace(&self, seen: &Seen, next: Record) -> bool {
        let mut versions = self.versions();
        let stands = seen.version + 1 == versions.len();
        if stands {
            versions.push(Arc::new(next));
        }
        stands
    }

    /// All that ever stood, oldest first.
    pub fn all(&self) -> Vec<Arc<Record>> {
        self.versions().clone()
    }

    /// Where a change stands just now, in words.
    pub fn phase(&self) -> &'static str {
        let record = self.latest().record;
        match record.step() {
            Step::Proposed => "while proposed",
            Step::Frozen => "while frozen",
            Step::Switched => "while switched",
            Step::Committed if record.settled() => "while settled",
            Step::Committed => "while handing over",
        }
    }

    /// The machines that some layout of what stands names, in order.
    pub fn machines(&self) -> Vec<usize> {
        let record = self.latest().record;
        let names =
            record.view().members().filter_map(|member| machine(&member.name)).collect::<BTreeSet<_>>();
        names.into_iter().collect()
    }
}
