//! How much this node gossips.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::{Registry, Unit};
use prost::Message;

/// The figures of this room.
#[derive(Debug, Clone, Default)]
pub struct GossipMetrics {
    rounds: Counter,
    failed: Counter,
    sent: Counter,
}

impl GossipMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self { rounds, failed, sent } = metrics.clone();
        registry.register("gossip_rounds", "Comparisons with another member that this node began", rounds);
        registry.register("gossip_failed_rounds", "Of these, how many were not answered", failed);
        registry.register_with_unit("gossip_sent", "Sent by gossip, encoded", Unit::Bytes, sent);
        metrics
    }

    pub(super) fn round(&self, answered: bool) {
        self.rounds.inc();
        self.failed.inc_by(u64::from(!answered));
    }

    pub(super) fn sent(&self, message: &impl Message) {
        self.sent.inc_by(u64::try_from(message.encoded_len()).unwrap_or(u64::MAX));
    }
}
