//! Which addresses did not answer lately: they are asked last, until a probe of the keeper's finds them well.
//!
//! Requests do not pay for finding out: a suspect comes back only by answering a probe, or a request that had nobody
//! better left to ask.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The first probe comes this long after the failure, so that a member that restarts is back soon.
const FIRST_PROBE: Duration = Duration::from_millis(100);
/// Probes get rarer up to this, so that an address that can never be dialled costs next to nothing.
const RAREST_PROBE: Duration = Duration::from_secs(5);

/// The suspects.
#[derive(Debug, Default)]
pub struct Health {
    suspects: BTreeMap<String, Suspect>,
}

#[derive(Debug, Clone, Copy)]
struct Suspect {
    failures: u32,
    probe_at: Instant,
}

impl Health {
    /// A connection to it failed, or an attempt ran out of time.
    pub fn failed(&mut self, address: &str, now: Instant) {
        let suspect =
            self.suspects.entry(address.to_owned()).or_insert(Suspect { failures: 0, probe_at: now });
        let pause = FIRST_PROBE.saturating_mul(1 << suspect.failures.min(16)).min(RAREST_PROBE);
        *suspect = Suspect { failures: suspect.failures.saturating_add(1), probe_at: now + pause };
    }

    /// It answered.
    pub fn answered(&mut self, address: &str) {
        self.suspects.remove(address);
    }

    /// Whether it is to be asked last.
    pub fn suspects(&self, address: &str) -> bool {
        self.suspects.contains_key(address)
    }

    /// The suspects whose next probe is due.
    pub fn due(&self, now: Instant) -> Vec<String> {
        self.suspects.iter().filter(|(_, s)| s.probe_at <= now).map(|(address, _)| address.clone()).collect()
    }

    /// Forgets all addresses but these, so that a long life among changing members needs no growing memory.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.suspects.retain(|address, _| keep(address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspect_is_probed_ever_more_rarely_until_it_answers() {
        let mut health = Health::default();
        let start = Instant::now();
        let mut now = start;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            health.failed("a", now);
            let mut pause = 0;
            while health.due(now + Duration::from_millis(pause)).is_empty() {
                pause += 100;
            }
            pauses.push(pause);
            now += Duration::from_millis(pause);
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        assert!(health.suspects("a") && !health.suspects("b"));
        health.answered("a");
        assert!(!health.suspects("a"));
        health.failed("a", now);
        assert_eq!(health.due(now + FIRST_PROBE), ["a"], "an answer ends the row of failures");
    }

    #[test]
    fn who_left_is_forgotten() {
        let mut health = Health::default();
        health.failed("a", Instant::now());
        health.failed("b", Instant::now());
        health.retain(|address| address == "b");
        assert!(!health.suspects("a") && health.suspects("b"));
    }
}
