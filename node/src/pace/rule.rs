//! How much of its time work in the background may take, judged by what requests in the foreground feel. Pure: the caller
//! brings the time.
//!
//! The goal is that the slowest hundredth of the requests takes no more than 1.5 times what it takes unloaded. So the share
//! follows that hundredth itself: each request that takes longer than 1.35 times the slowest hundredth unloaded takes an
//! eighth from the share, and each other one gives back a ninety-ninth of that. It stands still where one in a hundred is
//! slow, and no request alone says much (stochastic approximation of a quantile; Robbins and Monro, 1951). Both count by
//! the time between requests, so that the share grows by an eighth a second whatever their rate; with few of them, each
//! slow one takes half at the most.
//!
//! The share never falls below a floor, so work in the background always gets on. Work that begins beside requests begins
//! with a sixteenth: what too much of it costs is found out by small steps, not by the first seconds of the requests.
//!
//! What requests take *unloaded* is learnt while the background rests, or has worked at the floor only for some time:
//! there its part in it is too small to show, so what is felt there is the requests' own doing, and no reason to rest.

use std::time::Duration;

use super::latencies::Latencies;
use super::share::Share;

/// Requests that take no longer than this are never taken for slow.
const QUICK: Duration = Duration::from_millis(1);
/// A request is slow if it takes longer than the slowest hundredth unloaded by more than this.
const SLOWER: f64 = 1.35;
/// By how much, of itself, the share grows in a second in which no request is slow.
const GROWTH: f64 = 1.0 / 8.0;
/// How many requests that are not slow make up for one that is.
const PER_SLOW: f64 = 99.0;
/// The longest time that a request speaks for.
const LONGEST: f64 = 1.0;
/// How much the newest says of how far requests are apart.
const NEWEST: f64 = 0.02;
/// For so long what work has left behind (tables to be merged, pages to be written) may still be felt.
const CALM: Duration = Duration::from_secs(5);
/// Work after a longer pause than this begins anew.
const PAUSE: Duration = Duration::from_secs(10);
/// How much of all the time each second gives back in which nobody asks for anything.
const STEP: f64 = 1.0 / 16.0;

/// The rule; see the module.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The share, as finely as it moves.
    level: f64,
    unloaded: Latencies,
    /// The longest that is not slow, once that is known and for as long as nothing is learnt.
    bound: Option<Duration>,
    /// Seconds between two requests, lately.
    apart: f64,
    /// When the last request was answered, the last piece of work done, and the last above the floor.
    answered: Option<Duration>,
    worked: Option<Duration>,
    burdened: Option<Duration>,
    /// Until when silence has been counted.
    silent: Duration,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            level: 1.0,
            unloaded: Latencies::default(),
            bound: None,
            apart: LONGEST,
            answered: None,
            worked: None,
            burdened: None,
            silent: Duration::ZERO,
        }
    }
}

/// Since the last pause.
fn lately(at: Option<Duration>, now: Duration) -> bool {
    at.is_some_and(|at| now.saturating_sub(at) < PAUSE)
}

impl Rule {
    /// A request in the foreground has been answered, and took so long.
    pub fn answered(&mut self, took: Duration, now: Duration) {
        self.came(now);
        if self.burdened.is_none_or(|at| now.saturating_sub(at) >= CALM) {
            self.unloaded.add(took, now);
            self.bound = None;
        }
        if !lately(self.worked, now) {
            return;
        }
        let growth = GROWTH * self.apart;
        if took > self.bound() {
            self.scale((-growth * PER_SLOW).exp().max(0.5));
        } else {
            self.scale(growth.exp());
        }
    }

    /// A request in the foreground was turned away because too much was under way. It says nothing of how long requests
    /// take.
    pub fn refused(&mut self, now: Duration) {
        self.came(now);
        self.scale(0.5);
    }

    /// A piece of work has been done in the background: its allowance of time from now on.
    pub fn worked(&mut self, now: Duration) -> Share {
        self.hush(now);
        if self.is_asked(now) && !lately(self.worked, now) {
            self.level = Share::START.ratio();
        }
        self.worked = Some(now);
        let share = Share::of(self.level);
        if share > Share::FLOOR {
            self.burdened = Some(now);
        }
        share
    }

    /// Whether requests have come lately: then work goes in small pieces, for whatever comes during one waits for all of
    /// it.
    pub fn is_asked(&self, now: Duration) -> bool {
        lately(self.answered, now)
    }

    /// The share that stands.
    pub fn share(&mut self, now: Duration) -> Share {
        self.hush(now);
        Share::of(self.level)
    }

    /// A request has come to its end.
    fn came(&mut self, now: Duration) {
        self.hush(now);
        if let Some(before) = self.answered {
            let apart = now.saturating_sub(before).as_secs_f64().min(LONGEST);
            self.apart += (apart - self.apart) * NEWEST;
        }
        self.answered = Some(now);
        self.silent = now;
    }

    /// Gives back what the silence since the last request is worth.
    fn hush(&mut self, now: Duration) {
        let seconds = now.saturating_sub(self.silent).as_secs();
        self.silent += Duration::from_secs(seconds);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        self.level = f64::from(seconds).mul_add(STEP, self.level).min(1.0);
    }

    /// The longest that a request may take without being slow.
    fn bound(&mut self) -> Duration {
        // Nothing is known at first: find out.
        let unloaded = &self.unloaded;
        let learnt = || unloaded.slowest_hundredth().map_or(QUICK, |took| took.mul_f64(SLOWER).max(QUICK));
        *self.bound.get_or_insert_with(learnt)
    }

    fn scale(&mut self, by: f64) {
        self.level = (self.level * by).clamp(Share::FLOOR.ratio(), 1.0);
    }
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
