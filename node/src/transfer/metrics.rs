//! How much was pulled from other members and by them, and what went wrong with it.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// The figures of this room.
#[derive(Debug, Clone, Default)]
pub struct TransferMetrics {
    batches: Counter,
    bytes: Counter,
    damaged: Counter,
    left: Counter,
    served: Counter,
    served_bytes: Counter,
}

impl TransferMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self { batches, bytes, damaged, left, served, served_bytes } = metrics.clone();
        registry.register("transfer_batches", "Batches pulled from members, and stored", batches);
        registry.register("transfer_bytes", "Bytes of keys and states in these", bytes);
        let help = "Batches that did not have their checksum: refused, and asked for again";
        registry.register("transfer_damaged_batches", help, damaged);
        let help = "Pulls that left a holder because it failed or was slow, and go on at another or later";
        registry.register("transfer_holders_left", help, left);
        registry.register("transfer_served_batches", "Batches that members pulled from here", served);
        registry.register("transfer_served_bytes", "Bytes of these, encoded", served_bytes);
        metrics
    }

    pub(super) fn stored(&self, bytes: u64) {
        self.batches.inc();
        self.bytes.inc_by(bytes);
    }

    pub(super) fn damaged(&self) {
        self.damaged.inc();
    }

    pub(super) fn left(&self) {
        self.left.inc();
    }

    pub(super) fn served(&self, bytes: u64) {
        self.served.inc();
        self.served_bytes.inc_by(bytes);
    }

    /// Batches stored, refused as damaged, and holders left: for tests.
    pub fn counts(&self) -> [u64; 3] {
        [&self.batches, &self.damaged, &self.left].map(Counter::get)
    }
}
