//! One line of figures a second, as JSON, for whoever watches the load.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Latencies are kept up to this; a longer one counts as this one. Above every deadline.
const LONGEST: Duration = Duration::from_mins(1);

/// One kind of operation within one second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operations {
    /// Those that succeeded.
    pub count: u64,
    /// Median, in microseconds, from the call to the answer, retries included; 0 if there was none.
    pub p50_us: u64,
    /// 99th percentile, likewise.
    pub p99_us: u64,
}

/// What the load is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Writing every key once.
    #[default]
    Preload,
    /// Writing and reading at the rate asked for.
    Steady,
    /// No new operations are begun.
    Ended,
}

/// One line. Counts are since the start, but for `writes` and `reads`, which are of the last second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Seconds since the start.
    pub seconds: f64,
    /// What it is doing.
    pub phase: Phase,
    /// Every key was written once, or was not to be.
    pub loaded: bool,
    /// The last line.
    pub ended: bool,
    /// Keys with an acknowledged write.
    pub keys: u64,
    /// Writes acknowledged and in the journal.
    pub acknowledged: u64,
    /// Reads and writes that failed in the client's eyes, after all its retries.
    pub failed: u64,
    /// Attempts inside the client beyond the first of each request.
    pub retries: u64,
    /// Reads by a writer that did not show a write acknowledged before. Sloppy reads may, while members come and go.
    pub behind: u64,
    /// Reads that returned more than one version.
    pub conflicts: u64,
    /// Values read whose checksum or key was wrong. Never right.
    pub corrupt: u64,
    /// Of the last second.
    pub writes: Operations,
    /// Of the last second.
    pub reads: Operations,
    /// Failures by kind.
    pub errors: BTreeMap<String, u64>,
}

/// What is being counted.
#[derive(Debug, Default)]
struct Sums {
    line: Line,
    writes: Option<Histogram<u64>>,
    reads: Option<Histogram<u64>>,
}

/// Counts operations. Shared by all tasks.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Sums>);

impl Meter {
    fn with<T>(&self, change: impl FnOnce(&mut Sums) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A write was acknowledged, and noted in the journal.
    pub fn wrote(&self, took: Duration, first_of_key: bool) {
        self.with(|sums| {
            sums.line.acknowledged += 1;
            sums.line.keys += u64::from(first_of_key);
            record(&mut sums.writes, took);
        });
    }

    /// A read succeeded, with this many versions.
    pub fn read(&self, took: Duration, versions: usize) {
        self.with(|sums| {
            sums.line.conflicts += u64::from(versions > 1);
            record(&mut sums.reads, took);
        });
    }

    /// A read did not show what was acknowledged before.
    pub fn behind(&self) {
        self.with(|sums| sums.line.behind += 1);
    }

    /// A value was not what was written.
    pub fn corrupt(&self) {
        self.with(|sums| sums.line.corrupt += 1);
    }

    /// An operation failed.
    pub fn failed(&self, kind: &str) {
        self.with(|sums| {
            sums.line.failed += 1;
            *sums.line.errors.entry(kind.to_owned()).or_default() += 1;
        });
    }

    /// Acknowledged writes so far.
    pub fn acknowledged(&self) -> u64 {
        self.with(|sums| sums.line.acknowledged)
    }

    /// The line of the second that ends now; the next one begins.
    pub fn take(&self, seconds: f64, phase: Phase, retries: u64) -> Line {
        self.with(|sums| Line {
            seconds,
            phase,
            loaded: phase != Phase::Preload,
            ended: phase == Phase::Ended,
            retries,
            writes: sums.writes.take().map(|h| operations(&h)).unwrap_or_default(),
            reads: sums.reads.take().map(|h| operations(&h)).unwrap_or_default(),
            ..sums.line.clone()
        })
    }
}

fn record(histogram: &mut Option<Histogram<u64>>, took: Duration) {
    let longest = u64::try_from(LONGEST.as_micros()).unwrap_or(u64::MAX);
    if histogram.is_none() {
        // Three digits from a microsecond up; these bounds are ones that it takes.
        *histogram = Histogram::new_with_bounds(1, longest, 3).ok();
    }
    if let Some(histogram) = histogram {
        histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(longest).clamp(1, longest));
    }
}

fn operations(histogram: &Histogram<u64>) -> Operations {
    Operations {
        count: histogram.len(),
        p50_us: histogram.value_at_quantile(0.5),
        p99_us: histogram.value_at_quantile(0.99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_the_last_second_and_all_counts() {
        let meter = Meter::default();
        for ms in 1..=100 {
            meter.wrote(Duration::from_millis(ms), ms == 1);
        }
        meter.failed("unavailable");
        let line = meter.take(1.0, Phase::Steady, 5);
        assert_eq!((line.acknowledged, line.keys, line.failed, line.retries), (100, 1, 1, 5));
        assert_eq!(line.writes.count, 100);
        assert!((49_000..=51_000).contains(&line.writes.p50_us), "{line:?}");
        assert!((98_000..=100_500).contains(&line.writes.p99_us), "{line:?}");
        let next = meter.take(2.0, Phase::Ended, 5);
        assert_eq!((next.acknowledged, next.writes), (100, Operations::default()));
        assert!(next.ended && next.loaded);
        assert_eq!(next.errors["unavailable"], 1);
    }

    #[test]
    fn a_line_survives_json() {
        let meter = Meter::default();
        meter.read(Duration::from_hours(1), 2);
        let line = meter.take(1.5, Phase::Preload, 0);
        assert_eq!(line.reads.count, 1, "counted, though longer than is kept");
        let text = serde_json::to_string(&line).unwrap();
        assert!(text.contains(r#""phase":"preload""#) && !text.contains('\n'));
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }
}
