//! How many rounds of anti-entropy there were, and what they moved. On a healthy cluster the latter stand still.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use crate::transfer::compare::Compared;

/// The figures of this room.
#[derive(Debug, Clone, Default)]
pub struct RepairMetrics {
    rounds: Counter,
    failed: Counter,
    differing: Counter,
    fetched: Counter,
    pushed: Counter,
    rebuilt: Counter,
}

impl RepairMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self { rounds, failed, differing, fetched, pushed, rebuilt } = metrics.clone();
        registry.register("anti_entropy_rounds", "Comparisons of all shared trees with one member", rounds);
        registry.register("anti_entropy_failures", "Rounds, or partitions of one, that ended early", failed);
        registry.register("anti_entropy_differing", "Partitions whose trees differed", differing);
        registry.register("anti_entropy_fetched", "Copies fetched from members that had more", fetched);
        registry.register("anti_entropy_pushed", "Copies sent to members that had less", pushed);
        registry.register("merkle_rebuilds", "Merkle trees made anew, because they were in doubt", rebuilt);
        metrics
    }

    pub(super) fn round(&self) {
        self.rounds.inc();
    }

    pub(super) fn failed(&self) {
        self.failed.inc();
    }

    pub(super) fn differing(&self, partitions: usize) {
        self.differing.inc_by(partitions as u64);
    }

    pub(super) fn moved(&self, compared: Compared) {
        self.fetched.inc_by(compared.fetched);
        self.pushed.inc_by(compared.pushed);
    }

    pub(super) fn rebuilt(&self) {
        self.rebuilt.inc();
    }

    #[cfg(test)]
    pub(super) fn rebuilds(&self) -> u64 {
        self.rebuilt.get()
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> [u64; 5] {
        [&self.rounds, &self.failed, &self.differing, &self.fetched, &self.pushed].map(Counter::get)
    }
}
