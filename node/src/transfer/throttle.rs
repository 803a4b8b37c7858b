//! Keeping to so many bytes a second.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// A rate, and what has been used of it. Pure: the caller brings the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    bytes_per_second: u64,
    /// When all that was let through so far will have been paid for.
    paid_until: Duration,
}

impl Throttle {
    /// How much may go through at once after a pause.
    const BURST: Duration = Duration::from_millis(250);

    /// No more than `bytes_per_second`; zero means no limit.
    pub const fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second, paid_until: Duration::ZERO }
    }

    /// Lets `bytes` through at `now`, a time since some fixed moment. Returns when the next may be let through.
    pub fn take(&mut self, bytes: u64, now: Duration) -> Duration {
        if self.bytes_per_second == 0 {
            return now;
        }
        let begins = self.paid_until.max(now.saturating_sub(Self::BURST));
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.paid_until = begins.saturating_add(cost);
        self.paid_until.max(now)
    }
}

/// A throttle that all transfers of this node share, over the running clock. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pace {
    begun: Instant,
    throttle: Arc<Mutex<Throttle>>,
}

impl Pace {
    /// No more than `bytes_per_second` together; zero means no limit.
    pub fn new(bytes_per_second: u64) -> Self {
        Self { begun: Instant::now(), throttle: Arc::new(Mutex::new(Throttle::new(bytes_per_second))) }
    }

    /// Counts `bytes` that have gone through, and waits until more may.
    pub async fn keep(&self, bytes: u64) {
        let until = self.throttle.lock().await.take(bytes, self.begun.elapsed());
        sleep_until(self.begun + until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_and_a_pause_is_not_saved_up() {
        let mut throttle = Throttle::new(1000);
        let second = Duration::from_secs(1);
        assert_eq!(throttle.take(1000, Duration::ZERO), second);
        assert_eq!(throttle.take(500, second), second * 3 / 2);
        // After an hour's pause no more than a quarter of a second goes through at once.
        let later = second * 3600;
        assert_eq!(throttle.take(1000, later), later + second * 3 / 4);
    }

    #[test]
    fn zero_is_no_limit() {
        let mut throttle = Throttle::new(0);
        assert_eq!(throttle.take(u64::MAX, Duration::from_secs(5)), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn all_that_share_a_pace_keep_it_together() {
        let pace = Pace::new(1 << 20);
        let begun = Instant::now();
        let one = async || {
            for _ in 0..8 {
                pace.keep(256 << 10).await;
            }
        };
        futures::join!(one(), one());
        let took = begun.elapsed();
        assert!((Duration::from_secs(3)..=Duration::from_secs(4)).contains(&took), "{took:?}");
    }
}
