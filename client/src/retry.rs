//! Whether a failed attempt is followed by another, and when.
//!
//! Pauses grow exponentially with full jitter (a uniform choice between nothing and the bound): of many clients that
//! failed at one moment, few come back at one moment. Nothing is retried past the deadline: a retry whose pause would
//! use up the time that is left is not begun.

use std::time::Duration;

/// The bound of the first pause.
const BASE: Duration = Duration::from_millis(50);
/// No pause is longer, unless the server asks for it.
const CAP: Duration = Duration::from_secs(1);
/// An attempt with less time than this has no prospect.
const LEAST: Duration = Duration::from_millis(5);

/// What a failure says about asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request can never succeed as it is, or needs a decision of the caller.
    Final,
    /// The address could not be reached, or did not answer in time: another may.
    Unreachable,
    /// A node answered that it cannot now; another node would most likely say the same.
    Busy {
        /// What it asked for.
        wait: Option<Duration>,
    },
}

/// What is known when an attempt has failed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// How the attempt failed.
    pub kind: Kind,
    /// How many full rounds of pauses this request has made already.
    pub pauses: u32,
    /// Addresses that were not asked since the last pause.
    pub untried: usize,
    /// Until the caller's deadline.
    pub left: Duration,
    /// A random number in 0..1.
    pub jitter: f64,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Ask the next address in the list at once.
    Next,
    /// Pause, then begin the list again.
    After(Duration),
    /// Tell the caller.
    GiveUp,
}

/// The decision.
pub fn decide(moment: Moment) -> Decision {
    let Moment { kind, pauses, untried, left, jitter } = moment;
    let asked = match kind {
        Kind::Final => return Decision::GiveUp,
        Kind::Unreachable if untried > 0 && left > LEAST => return Decision::Next,
        Kind::Unreachable => Duration::ZERO,
        Kind::Busy { wait } => wait.unwrap_or_default(),
    };
    let bound = BASE.saturating_mul(1 << pauses.min(16)).min(CAP);
    // The server's wish is the least pause, and the jitter comes on top of it.
    let pause = asked.saturating_add(bound.mul_f64(jitter.clamp(0.0, 1.0)));
    if pause.saturating_add(LEAST) < left { Decision::After(pause) } else { Decision::GiveUp }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Moment =
        Moment { kind: Kind::Unreachable, pauses: 0, untried: 0, left: Duration::from_secs(10), jitter: 1.0 };
    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_can_never_succeed_is_not_tried_again() {
        assert_eq!(decide(Moment { kind: Kind::Final, untried: 5, ..MOMENT }), Decision::GiveUp);
    }

    #[test]
    fn an_address_that_is_gone_costs_no_pause_while_there_are_others() {
        assert_eq!(decide(Moment { untried: 1, ..MOMENT }), Decision::Next);
        assert_eq!(decide(MOMENT), Decision::After(ms(50)));
    }

    #[test]
    fn a_busy_cluster_is_given_time_even_if_others_were_not_asked() {
        let busy = Moment { kind: Kind::Busy { wait: None }, untried: 4, ..MOMENT };
        assert_eq!(decide(busy), Decision::After(ms(50)));
        let told = Moment { kind: Kind::Busy { wait: Some(ms(300)) }, ..MOMENT };
        assert_eq!(decide(told), Decision::After(ms(350)), "the server's wish is the least pause");
    }

    #[test]
    fn the_bound_of_the_pause_doubles_up_to_a_second_and_the_jitter_is_full() {
        let pause = |pauses, jitter| decide(Moment { pauses, jitter, ..MOMENT });
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 60].map(|n| pause(n, 1.0)),
            [50, 100, 200, 400, 800, 1000, 1000].map(|n| Decision::After(ms(n)))
        );
        assert_eq!(pause(3, 0.0), Decision::After(ms(0)));
        assert_eq!(pause(3, 0.5), Decision::After(ms(200)));
    }

    #[test]
    fn nothing_goes_beyond_the_deadline() {
        for kind in [Kind::Unreachable, Kind::Busy { wait: None }, Kind::Busy { wait: Some(ms(20)) }] {
            for pauses in 0..8 {
                for left in [0, 1, 4, 10, 60, 700, 2000] {
                    let moment = Moment { kind, pauses, left: ms(left), ..MOMENT };
                    if let Decision::After(pause) = decide(moment) {
                        assert!(pause < ms(left), "{moment:?}");
                    }
                }
            }
        }
        assert_eq!(decide(Moment { untried: 3, left: ms(1), ..MOMENT }), Decision::GiveUp);
    }
}
