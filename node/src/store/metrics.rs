//! What is timed of the disk.

use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds in seconds: from a disk with a cache that survives power loss to one that stalls.
const BUCKETS: [f64; 12] = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0];

/// The figures of this room.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    syncs: Histogram,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self { syncs: Histogram::new(BUCKETS) }
    }
}

impl StoreMetrics {
    /// Registers them.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Time that each sync of the disk took, one for each batch";
        registry.register_with_unit("sync_duration", help, Unit::Seconds, self.syncs.clone());
    }

    pub(super) fn synced(&self, took: Duration) {
        self.syncs.observe(took.as_secs_f64());
    }
}
