//! How far this node has come with what a target gives it: the figures that a person watches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dynamo_proto::v1::TargetProgress;
use dynamo_ring::fence::SenderStamp;
use dynamo_ring::{LayoutId, Partition};
use tokio::time::Instant;

use super::facts::Copied;
use crate::peer::wire::stamp_message;

/// The rate shown is that of about so long.
const WINDOW: Duration = Duration::from_secs(10);

/// The figures, as the copier keeps them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Progress {
    begun: Instant,
    figures: Arc<Mutex<Figures>>,
}

#[derive(Debug, Default)]
struct Figures {
    target: Option<LayoutId>,
    partitions: BTreeMap<Partition, Copied>,
    rate: Rate,
}

/// Bytes a second, the older the less they count. Pure: the caller brings the time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rate {
    per_second: f64,
    at: Duration,
}

impl Rate {
    /// Counts bytes that came at `now`.
    pub fn add(&mut self, bytes: u64, now: Duration) {
        self.fade(now);
        #[allow(clippy::cast_precision_loss, reason = "a figure to look at")]
        let bytes = bytes as f64;
        self.per_second += bytes / WINDOW.as_secs_f64();
    }

    /// The rate at `now`.
    pub fn at(mut self, now: Duration) -> u64 {
        self.fade(now);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a figure to look at")]
        let whole = self.per_second as u64;
        whole
    }

    fn fade(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.per_second *= (-passed / WINDOW.as_secs_f64()).exp();
        self.at = self.at.max(now);
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self { begun: Instant::now(), figures: Arc::default() }
    }
}

impl Progress {
    /// Begins to count for a target, from what is on disk.
    pub fn begin(&self, target: LayoutId, partitions: BTreeMap<Partition, Copied>) {
        *self.lock() = Figures { target: Some(target), partitions, ..Figures::default() };
    }

    /// Notes how far a partition has come, and the bytes that came for it just now.
    pub fn note(&self, target: LayoutId, partition: Partition, copied: &Copied, bytes: u64) {
        let now = self.begun.elapsed();
        let mut figures = self.lock();
        if figures.target == Some(target) {
            figures.partitions.insert(partition, copied.clone());
            figures.rate.add(bytes, now);
        }
    }

    /// The figures for the target that stands; nothing before any was begun for it.
    pub fn report(&self, stamp: SenderStamp) -> Option<TargetProgress> {
        let now = self.begun.elapsed();
        let figures = self.lock();
        (figures.target == Some(stamp.id)).then(|| figures.report(stamp, now))
    }

    /// Nothing can panic half way through a change.
    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Figures {
    fn report(&self, stamp: SenderStamp, now: Duration) -> TargetProgress {
        let copies = || self.partitions.values();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let known: Vec<u64> = copies().map(|copied| copied.wanted_bytes).filter(|bytes| *bytes > 0).collect();
        let finished = |copied: &&Copied| copied.wanted_bytes == 0 && copied.synced == self.target;
        let unknown = (self.partitions.len() - known.len() - copies().filter(finished).count()) as u64;
        let sum: u64 = known.iter().sum();
        // Partitions are alike in size, keys being spread by a hash: those not yet begun weigh what the others do.
        let guess = sum.checked_div(known.len() as u64).unwrap_or(0).saturating_mul(unknown);
        TargetProgress {
            target: Some(stamp_message(stamp)),
            partitions_wanted: count(self.partitions.len()),
            partitions_synced: count(copies().filter(|copied| copied.synced == self.target).count()),
            bytes_wanted: sum.saturating_add(guess),
            bytes_pulled: copies().map(|copied| copied.pulled_bytes).sum(),
            bytes_compared: copies().map(|copied| copied.compared_bytes).sum(),
            bytes_per_second: self.rate.at(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Pull;
    use super::*;
    use crate::layout::state::tests::{fresh, members};

    #[test]
    fn a_steady_stream_shows_its_rate_and_a_pause_fades_it() {
        let mut rate = Rate::default();
        for second in 0..100 {
            rate.add(1000, Duration::from_secs(second));
        }
        let now = Duration::from_secs(99);
        assert!((900..=1100).contains(&rate.at(now)), "{}", rate.at(now));
        assert!(rate.at(now + 6 * WINDOW) < 10);
    }

    #[tokio::test]
    async fn what_is_not_yet_known_is_guessed_from_what_is() {
        let record = fresh(3).propose(&members(0..4)).unwrap();
        let stamp = SenderStamp::of(&record);
        let progress = Progress::default();
        assert_eq!(progress.report(stamp), None);
        let fresh = (0..4).map(|p| (Partition(p), Copied::default())).collect();
        progress.begin(record.id(), fresh);
        let copied = Copied { pull: Pull::Done, wanted_bytes: 100, pulled_bytes: 60, ..Copied::default() };
        progress.note(record.id(), Partition(0), &copied, 60);
        let synced = Copied { synced: Some(record.id()), ..Copied::default() };
        progress.note(record.id(), Partition(1), &synced, 0);
        let shown = progress.report(stamp).unwrap();
        assert_eq!((shown.partitions_wanted, shown.partitions_synced), (4, 1));
        assert_eq!((shown.bytes_wanted, shown.bytes_pulled), (300, 60), "one is empty, two are guessed");
    }
}
