//! How many rounds there were, how they ended, what they removed, and what waits for one.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::round::End;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    end: End,
}

impl EncodeLabelValue for End {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let name = match self {
            Self::Reaped => "reaped",
            Self::Partly => "partly",
            Self::NotAgreed => "not_agreed",
            Self::CouldNotAsk => "could_not_ask",
            Self::Moved => "layout_changed",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}

/// The figures of this room.
#[derive(Debug, Clone, Default)]
pub struct ReapMetrics {
    begun: Counter,
    ended: Family<Ended, Counter>,
    reaped: Counter,
    waiting: Gauge,
    oldest: Gauge,
}

impl ReapMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        // A series that is there from the start tells "never" from "not known".
        for end in [End::Reaped, End::Partly, End::NotAgreed, End::CouldNotAsk, End::Moved] {
            drop(metrics.ended.get_or_create(&Ended { end }));
        }
        let Self { begun, ended, reaped, waiting, oldest } = metrics.clone();
        registry.register("reap_rounds_begun", "Rounds of reaping that this node began", begun);
        registry.register("reap_rounds", "Rounds that this node began, by how they ended", ended);
        registry.register("reaped_keys", "Deleted or expired keys that were removed here for good", reaped);
        registry.register(
            "reap_waiting_keys",
            "Deleted or expired keys, of the partitions whose rounds this node begins, left by its last pass",
            waiting,
        );
        registry.register_with_unit(
            "oldest_reapable_timestamp",
            "When the oldest of these was written, since the epoch; 0 if there is none",
            Unit::Seconds,
            oldest,
        );
        metrics
    }

    pub(super) fn begun(&self) {
        self.begun.inc();
    }

    pub(super) fn ended(&self, end: End) {
        self.ended.get_or_create(&Ended { end }).inc();
    }

    pub(super) fn reaped(&self, keys: usize) {
        self.reaped.inc_by(keys as u64);
    }

    pub(super) fn waiting(&self, keys: usize, oldest_ms: Option<u64>) {
        self.waiting.set(i64::try_from(keys).unwrap_or(i64::MAX));
        self.oldest.set(oldest_ms.map_or(0, |ms| i64::try_from(ms / 1000).unwrap_or(i64::MAX)));
    }
}
