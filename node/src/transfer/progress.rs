//! How far this node has come with a change of layout, as its workers tell it and everybody else asks: [`Figures`] under
//! a lock, with the time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dynamo_proto::v1::{Move, TargetProgress};
use dynamo_ring::{LayoutId, NodeId, Partition};
use tokio::time::Instant;

use super::facts::Copied;
use super::figures::{Figures, Work};
use crate::layout::Standing;

/// The figures, as copier and giver keep them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Progress {
    begun: Instant,
    figures: Arc<Mutex<Figures>>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { begun: Instant::now(), figures: Arc::default() }
    }
}

/// Work that goes on for as long as this is held.
#[derive(Debug)]
#[must_use = "the work is shown while this is held"]
pub struct Busy {
    progress: Progress,
    layout: LayoutId,
    work: (Partition, NodeId, Work),
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.progress.lock().ends(self.layout, self.work);
    }
}

impl Progress {
    /// Begins to count for a target, from what is on disk.
    pub fn begin(&self, target: LayoutId, partitions: BTreeMap<Partition, Copied>) {
        self.lock().begin(target, partitions, self.now());
    }

    /// Shows that something is done for a partition with this member, until what this returns is dropped. Several at a time
    /// for one partition are fine.
    pub fn busy(&self, layout: LayoutId, partition: Partition, work: Work, with: NodeId) -> Busy {
        let work = (partition, with, work);
        self.lock().begins(layout, work, self.now());
        Busy { progress: self.clone(), layout, work }
    }

    /// Notes how far a partition has come, and the bytes that came for it just now.
    pub fn note(&self, target: LayoutId, partition: Partition, copied: &Copied, bytes: u64) {
        self.lock().note(target, partition, copied, bytes, self.now());
    }

    /// Notes bytes of a partition that were pushed to those that hold it now.
    pub fn pushed(&self, committed: LayoutId, partition: Partition, bytes: u64) {
        self.lock().pushed(committed, partition, bytes);
    }

    /// How far this node has come with what the target gives it; nothing without a target.
    pub fn report(&self, standing: &Standing) -> Option<TargetProgress> {
        self.lock().report(standing, self.now())
    }

    /// Every partition that the change brings to this node or takes from it. What lies here of each is not looked at.
    pub fn moves(&self, standing: &Standing) -> Vec<Move> {
        self.lock().moves(standing, self.now())
    }

    /// How many of these are in which state, of every state that there is.
    pub fn states(&self, standing: Option<&Standing>) -> Vec<(&'static str, u64)> {
        self.lock().states(standing)
    }

    /// Bytes a second over the seconds in which pulls carried anything: now, or else the last time.
    pub fn copied_per_second(&self) -> Option<u64> {
        self.lock().copied_per_second()
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Nothing can panic half way through a change.
    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
