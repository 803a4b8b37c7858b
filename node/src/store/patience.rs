//! When the commit thread syncs: at once for requests; what the background writes waits a little for a sync that a request
//! needs anyway, since one of its own would hold up the requests that come during it. Pure: the caller brings the time.

use std::time::{Duration, Instant};

/// How long the background waits for a request.
const PATIENCE: Duration = Duration::from_millis(20);
/// It waits only if there was one so lately.
const LATELY: Duration = Duration::from_millis(250);

/// What a batch was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrote {
    /// There was none: what waits has waited long enough.
    Nothing,
    /// Work of the background alone.
    Background,
    /// A request, among others perhaps.
    Request,
}

/// What is known of requests, and of what waits.
#[derive(Debug, Default)]
pub(super) struct Patience {
    asked: Option<Instant>,
    due: Option<Instant>,
}

impl Patience {
    /// When what waits is to be synced, whatever comes; nothing if nothing waits.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether to sync after this.
    pub(super) fn syncs(&mut self, wrote: Wrote, now: Instant) -> bool {
        let lately = self.asked.is_some_and(|at| now.duration_since(at) < LATELY);
        let waits = wrote == Wrote::Background && lately && self.due.is_none_or(|due| now < due);
        if wrote == Wrote::Request {
            self.asked = Some(now);
        }
        self.due = if waits { self.due.or(Some(now + PATIENCE)) } else { None };
        !waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn without_requests_everything_is_synced_at_once() {
        let (mut patience, now) = (Patience::default(), Instant::now());
        for n in 0..5 {
            assert!(patience.syncs(Wrote::Background, now + MS * n));
        }
        assert!(patience.syncs(Wrote::Request, now));
        assert!(patience.syncs(Wrote::Background, now + LATELY), "that one is long past");
    }

    #[test]
    fn beside_requests_the_background_waits_for_one_but_not_for_long() {
        let (mut patience, now) = (Patience::default(), Instant::now());
        assert!(patience.syncs(Wrote::Request, now));
        assert!(!patience.syncs(Wrote::Background, now + MS));
        assert_eq!(patience.due(), Some(now + MS + PATIENCE));
        assert!(!patience.syncs(Wrote::Background, now + 10 * MS));
        assert_eq!(patience.due(), Some(now + MS + PATIENCE), "the first waits no longer for the next");
        assert!(patience.syncs(Wrote::Request, now + 15 * MS), "one sync for all three");
        assert_eq!(patience.due(), None);

        assert!(!patience.syncs(Wrote::Background, now + 20 * MS));
        assert!(patience.syncs(Wrote::Nothing, now + 20 * MS + PATIENCE));
        assert!(!patience.syncs(Wrote::Background, now + 50 * MS));
        assert!(patience.syncs(Wrote::Background, now + 50 * MS + PATIENCE), "more of it changes nothing");
    }
}
