//! Keeping to so many bytes a second, and to rests.

use std::time::Duration;

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

    /// From `now` on it is this rate. What is still to be paid for at another one is forgiven.
    pub fn keep_to(&mut self, bytes_per_second: u64, now: Duration) {
        if self.bytes_per_second != bytes_per_second {
            *self = Self { bytes_per_second, paid_until: self.paid_until.min(now) };
        }
    }

    /// Lets `bytes` through at `now`, a time since some fixed moment, and then rests for `rest` or for as long as the bytes
    /// take, whichever is longer. Returns when the next may be let through.
    pub fn take(&mut self, bytes: u64, rest: Duration, now: Duration) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000;
        // Without a limit they take no time.
        let nanos = nanos.checked_div(self.bytes_per_second.into()).unwrap_or(0);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        // A pause is saved up for bytes, but rests are for those who feel it now.
        let paid = self.paid_until.max(now.saturating_sub(Self::BURST)).saturating_add(cost);
        let rested = self.paid_until.max(now).saturating_add(rest);
        self.paid_until = if rest.is_zero() { paid } else { paid.max(rested) };
        self.paid_until.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_and_a_pause_is_not_saved_up() {
        let mut throttle = Throttle::new(1000);
        let second = Duration::from_secs(1);
        assert_eq!(throttle.take(1000, Duration::ZERO, Duration::ZERO), second);
        assert_eq!(throttle.take(500, Duration::ZERO, second), second * 3 / 2);
        // After an hour's pause no more than a quarter of a second goes through at once.
        let later = second * 3600;
        assert_eq!(throttle.take(1000, Duration::ZERO, later), later + second * 3 / 4);
    }

    #[test]
    fn zero_is_no_limit() {
        let mut throttle = Throttle::new(0);
        assert_eq!(throttle.take(u64::MAX, Duration::ZERO, Duration::from_secs(5)), Duration::from_secs(5));
    }

    #[test]
    fn a_rest_that_is_longer_than_the_bytes_cost_counts_instead() {
        let mut throttle = Throttle::new(1000);
        let second = Duration::from_secs(1);
        assert_eq!(throttle.take(1000, second / 2, Duration::ZERO), second);
        assert_eq!(throttle.take(1000, 3 * second, second), 4 * second);
        let mut free = Throttle::new(0);
        assert_eq!(free.take(u64::MAX, second, 9 * second), 10 * second);
    }
}
