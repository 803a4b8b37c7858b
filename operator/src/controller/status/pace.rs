//! When a status is written: only if it differs, and at most once in two seconds.

use std::time::Duration;

/// The least time between two writes of one status.
const APART: Duration = Duration::from_secs(2);

/// What to do about a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// It stands already.
    Nothing,
    /// Write it.
    Write,
    /// Write what is then true, after this time.
    Later(Duration),
}

/// `differs` from what stands at the API server; `since` the last write, if there was one.
pub fn pace(differs: bool, since: Option<Duration>) -> Pace {
    match since {
        _ if !differs => Pace::Nothing,
        Some(since) if since < APART => Pace::Later(APART.saturating_sub(since)),
        _ => Pace::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lesson_10_nothing_is_written_when_nothing_changed() {
        assert_eq!(pace(false, None), Pace::Nothing);
        assert_eq!(pace(false, Some(Duration::from_mins(1))), Pace::Nothing);
    }

    #[test]
    fn at_most_one_write_in_two_seconds() {
        assert_eq!(pace(true, None), Pace::Write);
        assert_eq!(pace(true, Some(Duration::from_millis(500))), Pace::Later(Duration::from_millis(1500)));
        assert_eq!(pace(true, Some(APART)), Pace::Write);
    }
}
