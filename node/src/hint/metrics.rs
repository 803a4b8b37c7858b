//! How many hints there are, how old the oldest is, and what became of the others.

use std::collections::BTreeSet;

use dynamo_ring::NodeId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::store::HintCount;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Owed {
    target: String,
}

impl Owed {
    fn of(target: NodeId) -> Self {
        Self { target: target.to_string() }
    }
}

/// The figures of this room.
#[derive(Debug, Clone, Default)]
pub struct HintMetrics {
    waiting: Family<Owed, Gauge>,
    oldest: Gauge,
    delivered: Counter,
    owed_to_others: Counter,
    passed_on: Counter,
    refused: Counter,
}

impl HintMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self { waiting, oldest, delivered, owed_to_others, passed_on, refused } = metrics.clone();
        registry.register("hints", "Hints kept here, by the node id that is owed them", waiting);
        registry.register_with_unit(
            "oldest_hint_timestamp",
            "When the oldest hint kept here was made, since the epoch; 0 if there is none",
            Unit::Seconds,
            oldest,
        );
        registry.register("hints_delivered", "Hints whose target has the state on its disk", delivered);
        registry.register(
            "hints_reaimed",
            "Hints whose key has other holders now, who are owed it",
            owed_to_others,
        );
        registry.register(
            "hints_passed_on",
            "Hints given to other members because this one leaves",
            passed_on,
        );
        registry.register("hints_refused", "Deliveries of one hint that its target did not take", refused);
        metrics
    }

    /// `shown` are the members of the last call. A series goes only when its member is owed nothing more.
    pub(super) fn waiting(&self, shown: &BTreeSet<NodeId>, counts: &[HintCount]) {
        for target in shown.iter().filter(|target| counts.iter().all(|count| count.target != **target)) {
            self.waiting.remove(&Owed::of(*target));
        }
        for count in counts {
            self.waiting.get_or_create(&Owed::of(count.target)).set(signed(count.hints));
        }
        let oldest = counts.iter().filter_map(|count| count.oldest_ms).min().unwrap_or(0);
        self.oldest.set(signed(oldest / 1000));
    }

    pub(super) fn delivered(&self, hints: usize) {
        self.delivered.inc_by(hints as u64);
    }

    pub(super) fn owed_to_others(&self) {
        self.owed_to_others.inc();
    }

    pub(super) fn passed_on(&self, hints: usize) {
        self.passed_on.inc_by(hints as u64);
    }

    pub(super) fn refused(&self) {
        self.refused.inc();
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> [u64; 4] {
        [&self.delivered, &self.owed_to_others, &self.passed_on, &self.refused].map(Counter::get)
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
