//! What the demo concludes from its figures, as text for a person and as JSON for a script.

use serde::Serialize;

use crate::screen::human;

/// Latencies of a stretch of time, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Median of writes.
    pub write_p50: u64,
    /// 99th percentile of writes.
    pub write_p99: u64,
    /// Median of reads.
    pub read_p50: u64,
    /// 99th percentile of reads.
    pub read_p99: u64,
}

/// One change of size, from the order to the settled layout.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Members before.
    pub from: usize,
    /// Members after.
    pub to: usize,
    /// From `kubectl scale` until the layout had settled and the pods that leave were gone.
    pub seconds: f64,
    /// Entry bytes that pulls carried.
    pub bytes_moved: u64,
    /// Stored bytes of the replicas that moved, as they were when the change began.
    pub bytes_least: u64,
    /// Entry bytes of the comparison that follows each pull; client writes that arrived meanwhile among them.
    pub bytes_compared: u64,
    /// Replicas that changed their member.
    pub replicas_moved: usize,
    /// Latencies while it ran.
    pub during: Latency,
}

impl Change {
    /// Bytes moved over the least possible.
    #[allow(clippy::cast_precision_loss)] // a ratio for people's eyes and a bound of one in a hundred
    pub fn ratio(&self) -> f64 {
        if self.bytes_least == 0 { 1.0 } else { self.bytes_moved as f64 / self.bytes_least as f64 }
    }
}

/// Everything that a run of the demo found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// Keys with at least one acknowledged write.
    pub keys: u64,
    /// Writes acknowledged to the client.
    pub acknowledged: u64,
    /// Keys whose last acknowledged write was found, or causally covered.
    pub found: u64,
    /// Keys whose last acknowledged write was not.
    pub lost: u64,
    /// Replicas asked directly, one for each key and member that the layout names.
    pub replicas_checked: u64,
    /// All holders of every partition have one Merkle root.
    pub roots_equal: bool,
    /// Requests that failed in the client's eyes while members came and went.
    pub failed_requests: u64,
    /// Retries inside the client; their requests succeeded.
    pub retries: u64,
    /// Latencies before the first change.
    pub before: Latency,
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// What went against "no pod and no volume goes before its proof".
    pub violations: Vec<String>,
}

impl Verdict {
    /// Nothing lost, all replicas alike, nothing removed before its proof.
    pub fn passed(&self) -> bool {
        self.lost == 0
            && self.found == self.keys
            && self.keys > 0
            && self.roots_equal
            && self.violations.is_empty()
    }

    /// The text that ends the demo.
    pub fn text(&self) -> String {
        let mut lines = vec![
            String::new(),
            format!("  {}", if self.passed() { "NOTHING LOST" } else { "NOT AS PROMISED" }),
            String::new(),
            format!("  writes acknowledged  {:>10}   to {} keys", self.acknowledged, self.keys),
            format!("  found                {:>10}   each read back through the store", self.found),
            format!("  lost                 {:>10}", self.lost),
            format!(
                "  replicas asked       {:>10}   Merkle roots {}",
                self.replicas_checked,
                if self.roots_equal { "equal" } else { "DIFFER" }
            ),
            format!(
                "  failed requests      {:>10}   retries inside the client {}",
                self.failed_requests, self.retries
            ),
            String::new(),
            format!("  {:<22}{}", "before", latency(&self.before)),
        ];
        for change in &self.changes {
            lines.push(format!(
                "  {:<22}{}",
                format!("during {} -> {}", change.from, change.to),
                latency(&change.during)
            ));
        }
        lines.push(String::new());
        for change in &self.changes {
            lines.push(format!(
                "  {} -> {}: {} replicas, {} moved of {} at the least ({:.3}), {:.1} s",
                change.from,
                change.to,
                change.replicas_moved,
                human(change.bytes_moved),
                human(change.bytes_least),
                change.ratio(),
                change.seconds
            ));
        }
        lines.extend(self.violations.iter().map(|violation| format!("  VIOLATION: {violation}")));
        lines.join("\n")
    }
}

#[allow(clippy::cast_precision_loss)] // for people's eyes
fn latency(of: &Latency) -> String {
    let ms = |micros: u64| micros as f64 / 1000.0;
    format!(
        "writes p50 {:>6.1} ms p99 {:>7.1} ms   reads p50 {:>6.1} ms p99 {:>7.1} ms",
        ms(of.write_p50),
        ms(of.write_p99),
        ms(of.read_p50),
        ms(of.read_p99)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Verdict {
        Verdict {
            keys: 10,
            acknowledged: 12,
            found: 10,
            lost: 0,
            replicas_checked: 30,
            roots_equal: true,
            failed_requests: 0,
            retries: 1,
            before: Latency::default(),
            changes: Vec::new(),
            violations: Vec::new(),
        }
    }

    #[test]
    fn each_of_these_alone_fails_the_run() {
        assert!(good().passed());
        assert!(!Verdict { lost: 1, ..good() }.passed());
        assert!(!Verdict { found: 9, ..good() }.passed());
        assert!(!Verdict { roots_equal: false, ..good() }.passed());
        assert!(!Verdict { violations: vec!["x".into()], ..good() }.passed());
        assert!(!Verdict { keys: 0, found: 0, ..good() }.passed(), "a run that wrote nothing shows nothing");
    }

    #[test]
    fn the_ratio_is_over_the_least() {
        let change = Change {
            from: 3,
            to: 5,
            seconds: 1.0,
            bytes_moved: 110,
            bytes_least: 100,
            bytes_compared: 0,
            replicas_moved: 1,
            during: Latency::default(),
        };
        assert!((change.ratio() - 1.1).abs() < 1e-9);
    }
}
