//! How fast work in the background goes: repairs, hints, transfers. It watches what requests in the foreground feel, and
//! gives way to them.
//!
//! | module | what it says |
//! |---|---|
//! | [`rule`] | pure: what part of the time the background may take |
//! | [`throttle`] | pure: so many bytes a second, and rests |
//!
//! One [`Foreground`] for a node: requests tell it how long they took. A [`Pace`] for each kind of work: after each piece
//! it waits until the next may begin.

pub mod rule;
pub mod throttle;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

pub use rule::{Rule, Share};
pub use throttle::Throttle;

/// What a message costs whatever is in it: a request, an answer, a batch.
const MESSAGE: Duration = Duration::from_millis(1);
/// Bytes of states that are read, sent and stored in a second, about, with all the time.
const BYTES_A_SECOND: u64 = 64 << 20;
/// No rest is longer, whatever the piece.
const LONGEST_REST: Duration = Duration::from_secs(2);

/// What requests in the foreground feel. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Foreground {
    begun: Instant,
    rule: Arc<Mutex<Rule>>,
}

impl Default for Foreground {
    fn default() -> Self {
        Self { begun: Instant::now(), rule: Arc::default() }
    }
}

impl Foreground {
    /// A request was answered, and took so long.
    pub fn answered(&self, took: Duration) {
        self.rule().answered(took, self.begun.elapsed());
    }

    /// A request was turned away because too much was under way.
    pub fn refused(&self) {
        self.rule().refused(self.begun.elapsed());
    }

    /// The part of the time that the background may take.
    pub fn share(&self) -> Share {
        self.rule().share(self.begun.elapsed())
    }

    /// Rests after a piece of work that another member's background has asked for, and that moved so many bytes: the
    /// one who asks may feel nothing of what it does here.
    pub async fn rest(&self, bytes: u64) {
        sleep(self.rest_after(bytes)).await;
    }

    /// How long to rest after a piece of work in the background that moved so many bytes.
    fn rest_after(&self, bytes: u64) -> Duration {
        let share = self.rule().worked(self.begun.elapsed());
        let moved = Duration::from_millis(bytes.saturating_mul(1000) / BYTES_A_SECOND);
        share.rest(MESSAGE + moved).min(LONGEST_REST)
    }

    /// Nothing that holds the lock can panic half way, so a poisoned lock guards whole data.
    fn rule(&self) -> MutexGuard<'_, Rule> {
        self.rule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pace of one kind of work in the background: a bound of bytes a second, and what the foreground leaves. All clones
/// keep it together.
#[derive(Debug, Clone)]
pub struct Pace {
    throttle: Arc<Mutex<Throttle>>,
    foreground: Foreground,
}

impl Pace {
    /// No more than `bytes_per_second` together, zero for no limit, and no more than `foreground` leaves.
    pub fn new(bytes_per_second: u64, foreground: Foreground) -> Self {
        Self { throttle: Arc::new(Mutex::new(Throttle::new(bytes_per_second))), foreground }
    }

    /// Without any bound.
    pub fn unbound() -> Self {
        Self::new(0, Foreground::default())
    }

    /// Counts a piece of work that has moved `bytes`, and waits until the next may begin.
    pub async fn keep(&self, bytes: u64) {
        let begun = self.foreground.begun;
        let until = self.take(bytes, begun.elapsed());
        sleep_until(begun + until).await;
    }

    fn take(&self, bytes: u64, now: Duration) -> Duration {
        let rest = self.foreground.rest_after(bytes);
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.take(bytes, rest, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_that_share_a_pace_keep_it_together() {
        let pace = Pace::new(1 << 20, Foreground::default());
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

    #[tokio::test(start_paused = true)]
    async fn work_that_no_limit_bounds_gives_way_to_requests_too() {
        let foreground = Foreground::default();
        let pace = Pace::new(0, foreground.clone());
        let begun = Instant::now();
        pace.keep(1 << 30).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            for _ in 0..50 {
                foreground.refused();
                tokio::time::advance(Duration::from_millis(21)).await;
            }
        }
        assert_eq!(foreground.share(), Share::FLOOR);
        let begun = Instant::now();
        pace.keep(0).await;
        pace.keep(1 << 30).await;
        let rested = begun.elapsed();
        assert!(rested > LONGEST_REST && rested < 2 * LONGEST_REST, "{rested:?}");
    }
}
