//! How long requests have taken lately. Pure: the caller brings the time.

use std::time::Duration;

/// Buckets of latencies: a sixteenth of a power of two each, from 64 microseconds to a minute.
const BUCKETS: usize = 320;
const SIXTEENTHS: f64 = 16.0;
const FIRST: f64 = 64e-6;
/// A generation ends when it has lasted so long,
const AGE: Duration = Duration::from_secs(10);
/// and has told of so many.
const KEPT: u32 = 500;
/// Of fewer than this the slowest hundredth is a single one.
const ENOUGH: u32 = 100;

/// How long the requests of one generation took.
#[derive(Debug, Clone)]
struct Generation {
    begun: Duration,
    took: [u32; BUCKETS],
    count: u32,
}

impl Generation {
    const fn new(begun: Duration) -> Self {
        Self { begun, took: [0; BUCKETS], count: 0 }
    }
}

/// Latencies of the last two generations of requests: 10 s each, or as long as 500 of them take. What is older counts for
/// nothing, however slow it was.
#[derive(Debug, Clone)]
pub(super) struct Latencies {
    now: Generation,
    before: Generation,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { now: Generation::new(Duration::ZERO), before: Generation::new(Duration::ZERO) }
    }
}

impl Latencies {
    /// One more request took so long.
    pub(super) fn add(&mut self, took: Duration, now: Duration) {
        if now.saturating_sub(self.now.begun) >= AGE && self.now.count >= KEPT {
            self.before = std::mem::replace(&mut self.now, Generation::new(now));
        }
        self.now.took[bucket(took)] += 1;
        self.now.count += 1;
    }

    /// What all but the slowest hundredth stay below; nothing before a hundred were counted.
    pub(super) fn slowest_hundredth(&self) -> Option<Duration> {
        let count = self.now.count + self.before.count;
        let mut beyond = Some(count / 100).filter(|_| count >= ENOUGH)?;
        let buckets = self.now.took.iter().zip(&self.before.took).enumerate().rev();
        for (bucket, (now, before)) in buckets {
            let here = now + before;
            if here > beyond {
                return Some(upper(bucket));
            }
            beyond -= here;
        }
        None
    }
}

/// The bucket of a latency.
fn bucket(took: Duration) -> usize {
    let sixteenths = (took.as_secs_f64() / FIRST).max(1.0).log2() * SIXTEENTHS;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 320")]
    let bucket = sixteenths as usize;
    bucket.min(BUCKETS - 1)
}

/// The upper end of a bucket.
fn upper(bucket: usize) -> Duration {
    let sixteenths = u32::try_from(bucket + 1).unwrap_or(0);
    Duration::from_secs_f64(FIRST * (f64::from(sixteenths) / SIXTEENTHS).exp2())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn any_latency_has_a_bucket_that_reaches_it() {
        for took in [0, 1, 63, 64, 65, 1000, 123_456, 9_999_999, 50_000_000].map(Duration::from_micros) {
            assert!(upper(bucket(took)) >= took, "{took:?}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn the_slowest_hundredth_is_known_from_a_hundred_on_and_nothing_old_counts() {
        let mut latencies = Latencies::default();
        let near = |slowest: Option<Duration>, ms: u32| {
            slowest.is_some_and(|slowest| slowest >= ms * MS && slowest < (ms * MS).mul_f64(1.05))
        };
        // A storm of a thousand requests a second.
        for n in 0..20_000 {
            assert_eq!(latencies.slowest_hundredth().is_some(), n >= 100);
            latencies.add(if n % 50 == 49 { 200 * MS } else { 2 * MS }, MS * n);
        }
        assert!(near(latencies.slowest_hundredth(), 200));
        // A hundred a second, for a while.
        for n in 0..2_200 {
            latencies.add(3 * MS, Duration::from_secs(20) + 10 * MS * n);
        }
        assert!(near(latencies.slowest_hundredth(), 3));
    }
}
