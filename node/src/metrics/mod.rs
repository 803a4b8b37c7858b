//! Every figure of this node, in one registry. Each room counts for itself and registers what it counts; what can be
//! read off at any moment is read off when it is asked for.
//!
//! The figures are listed in `docs/metrics.md`.

use std::fmt;
use std::sync::PoisonError;
use std::sync::RwLock;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

pub mod gauges;

/// The prefix of every name.
const PREFIX: &str = "dynamo";

/// The registry.
#[derive(Debug)]
pub struct Metrics {
    registry: RwLock<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { registry: RwLock::new(Registry::with_prefix(PREFIX)) }
    }
}

impl Metrics {
    /// Registers a room's figures.
    pub fn register<T>(&self, room: impl FnOnce(&mut Registry) -> T) -> T {
        room(&mut self.registry.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Registers figures that are read off when they are asked for.
    pub fn collect(&self, collector: Box<dyn Collector>) {
        self.register(|registry| registry.register_collector(collector));
    }

    /// All figures in the OpenMetrics text format.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry.read().unwrap_or_else(PoisonError::into_inner))?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn what_a_room_registers_is_shown_under_the_one_prefix() {
        let metrics = Metrics::default();
        let counter = metrics.register(|registry| {
            let counter = Counter::<u64>::default();
            registry.register("writes", "Writes", counter.clone());
            counter
        });
        counter.inc_by(3);
        assert!(metrics.text().unwrap().contains("dynamo_writes_total 3\n"));
    }
}
