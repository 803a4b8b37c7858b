//! How fast work in the background goes: repairs, hints, transfers. It watches what requests in the foreground feel, and
//! gives way to them.
//!
//! | module | what it says |
//! |---|---|
//! | [`rule`] | pure: what part of the time the background may take |
//! | [`share`] | pure: a part of the time |
//! | `latencies` | pure: how long requests take |
//! | [`throttle`] | pure: so many bytes a second, and rests |
//!
//! One [`Foreground`] for a node: requests tell it how long they took. A [`Pace`] for each kind of work: after each piece
//! it waits until the next may begin.

mod latencies;
pub mod rule;
pub mod share;
pub mod throttle;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

pub use rule::Rule;
pub use share::Share;
pub use throttle::Throttle;

/// What a message costs whatever is in it: a request, an answer, a batch.
const MESSAGE: Duration = Duration::from_millis(1);
/// Bytes of states that are read, sent and stored in a second, about, with all the time.
const BYTES_A_SECOND: u64 = 64 << 20;
/// How many pieces work is done in beside requests, instead of one.
const PIECES: usize = 8;
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

    /// How much of something is to be done at a time where `whole` would be best for the work itself: an eighth beside
    /// requests.
    pub fn piece(&self, whole: usize) -> usize {
        if self.rule().is_asked(self.begun.elapsed()) { (whole / PIECES).max(1) } else { whole }
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

/// The most bytes a second that one kind of work may take; it can be set anew at any time. Zero is no limit. Cheap to
/// clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Limit(Arc<watch::Sender<u64>>);

impl Limit {
    /// What it is now.
    pub fn bytes_per_second(&self) -> u64 {
        *self.0.borrow()
    }

    /// Sets it. Whoever waits by the old one waits no longer.
    pub fn set(&self, bytes_per_second: u64) {
        self.0.send_if_modified(|now| std::mem::replace(now, bytes_per_second) != bytes_per_second);
    }
}

impl From<u64> for Limit {
    fn from(bytes_per_second: u64) -> Self {
        Self(Arc::new(watch::Sender::new(bytes_per_second)))
    }
}

/// The pace of one kind of work in the background: a bound of bytes a second, and what the foreground leaves. All clones
/// keep it together.
#[derive(Debug, Clone)]
pub struct Pace {
    limit: Limit,
    throttle: Arc<Mutex<Throttle>>,
    foreground: Foreground,
}

impl Pace {
    /// No more than `limit` together, and no more than `foreground` leaves.
    pub fn new(limit: impl Into<Limit>, foreground: Foreground) -> Self {
        let limit = limit.into();
        let throttle = Throttle::new(limit.bytes_per_second());
        Self { limit, throttle: Arc::new(Mutex::new(throttle)), foreground }
    }

    /// Without any bound.
    pub fn unbound() -> Self {
        Self::new(0, Foreground::default())
    }

    /// Bytes a second that this may not exceed, if it was given a bound.
    pub fn limit(&self) -> Option<u64> {
        Some(self.limit.bytes_per_second()).filter(|limit| *limit > 0)
    }

    /// The part of the time that the foreground leaves just now.
    pub fn share(&self) -> Share {
        self.foreground.share()
    }

    /// How much of something is to be done at a time; see [`Foreground::piece`].
    pub fn piece(&self, whole: usize) -> usize {
        self.foreground.piece(whole)
    }

    /// Counts a piece of work that has moved `bytes`, and waits until the next may begin.
    pub async fn keep(&self, bytes: u64) {
        let begun = self.foreground.begun;
        let mut limit = self.limit.0.subscribe();
        let until = self.take(bytes, *limit.borrow_and_update(), begun.elapsed());
        tokio::select! {
            biased;
            // What was to be paid for by another limit is forgiven; the next piece goes by the new one. The sender is here.
            Ok(()) = limit.changed() => {}
            () = sleep_until(begun + until) => {}
        }
    }

    /// Rests as the foreground asks for after work like moving so many bytes, which no limit counts.
    pub async fn rest(&self, bytes: u64) {
        self.foreground.rest(bytes).await;
    }

    fn take(&self, bytes: u64, limit: u64, now: Duration) -> Duration {
        let rest = self.foreground.rest_after(bytes);
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.keep_to(limit, now);
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
    async fn a_limit_that_is_set_anew_holds_at_once_for_all_that_keep_to_it() {
        let limit = Limit::from(1000);
        let pace = Pace::new(limit.clone(), Foreground::default());
        let begun = Instant::now();
        let setter = async {
            sleep(Duration::from_secs(5)).await;
            limit.set(1 << 20);
        };
        // By the first limit this would take eleven days.
        futures::join!(pace.keep(1 << 30), setter);
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        pace.keep(2 << 20).await;
        let took = begun.elapsed().saturating_sub(Duration::from_secs(5));
        assert!((Duration::from_millis(1500)..=Duration::from_secs(2)).contains(&took), "{took:?}");
        limit.set(0);
        pace.keep(1 << 40).await;
        assert_eq!(begun.elapsed().saturating_sub(Duration::from_secs(5)), took, "no limit");
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_are_small_for_as_long_as_requests_come() {
        let pace = Pace::unbound();
        assert_eq!((pace.piece(256), pace.piece(1)), (256, 1));
        pace.foreground.answered(Duration::from_millis(2));
        assert_eq!((pace.piece(256), pace.piece(1)), (32, 1));
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(pace.piece(256), 256);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_no_limit_bounds_gives_way_to_requests_too() {
        let foreground = Foreground::default();
        let pace = Pace::new(0, foreground.clone());
        let begun = Instant::now();
        pace.keep(1 << 30).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..20 {
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
