//! What is read off when figures are asked for: the store, the peers, the layout, the move in progress.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::gossip::Gossip;
use crate::layout::{Layouts, Standing};
use crate::limits::Gate;
use crate::pace::{Foreground, Limit};
use crate::peer::Peers;
use crate::peer::room::Room;
use crate::phase::Life;
use crate::store::{Committer, Local};
use crate::transfer::Progress;

/// Everything that can be read off.
#[derive(Debug)]
pub struct Gauges {
    /// The commit thread.
    pub committer: Committer,
    /// What is stored.
    pub local: Local,
    /// What this node goes by.
    pub layouts: Layouts,
    /// The other members.
    pub peers: Peers,
    /// What is known of them.
    pub gossip: Gossip,
    /// Clients' requests.
    pub gate: Gate,
    /// Large messages.
    pub room: Room,
    /// Answers to clients.
    pub answers: Room,
    /// Whether this node is ready.
    pub life: Life,
    /// What is being copied.
    pub progress: Progress,
    /// What requests feel, and so what they leave to the background.
    pub foreground: Foreground,
    /// How fast the background may be besides.
    pub limit: Limit,
}

struct Sheet<'a>(DescriptorEncoder<'a>);

impl Sheet<'_> {
    fn write(&mut self, name: &str, help: &str, kind: MetricType, metric: &impl EncodeMetric) -> fmt::Result {
        metric.encode(self.0.encode_descriptor(name, help, None, kind)?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.write(name, help, MetricType::Gauge, &ConstGauge::new(value))
    }

    /// No sample while it is not known: a zero would be a lie.
    fn known(&mut self, name: &str, help: &str, value: Option<u64>) -> fmt::Result {
        match value {
            Some(value) => self.gauge(name, help, value),
            None => self.0.encode_descriptor(name, help, None, MetricType::Gauge).map(drop),
        }
    }

    fn by_state(&mut self, name: &str, help: &str, states: &[(&'static str, u64)]) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (state, count) in states {
            let count = ConstGauge::new(i64::try_from(*count).unwrap_or(i64::MAX));
            count.encode(encoder.encode_family(&[("state", *state)])?)?;
        }
        Ok(())
    }

    fn ratio(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.write(name, help, MetricType::Gauge, &ConstGauge::new(value))
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.write(name, help, MetricType::Counter, &ConstCounter::new(value))
    }
}

impl Gauges {
    fn store(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let (waiting, bytes) = self.committer.depth();
        sheet.counter("commits", "Batches written", self.committer.last_commit())?;
        sheet.counter("synced_commits", "The last batch that is on disk", self.committer.last_synced())?;
        sheet.gauge("commit_queue_operations", "Operations that wait for the disk", wide(waiting))?;
        sheet.gauge("commit_queue_bytes", "Bytes that wait for the disk", wide(bytes))?;
        // A store that cannot be read has said so elsewhere; the other figures are still worth having.
        let Ok(summaries) = self.local.summaries() else { return Ok(()) };
        let keys = summaries.iter().map(|(_, summary)| summary.keys).sum();
        let bytes = summaries.iter().map(|(_, summary)| summary.bytes).sum();
        sheet.gauge("keys", "Keys stored, deleted ones that are not reaped included", keys)?;
        sheet.gauge("stored_bytes", "Bytes of keys and states stored", bytes)
    }

    fn layout(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        sheet.gauge("ready", "1 if this node serves", self.life.is_ready().into())?;
        let standing = self.layouts.current();
        let standing = standing.as_deref();
        let epoch = standing.map_or(0, |standing| standing.record.stamp().epoch);
        sheet.gauge("layout_epoch", "Epoch of the layout record; 0 without one", epoch)?;
        let step = standing.map_or(0, |standing| standing.record.step() as u64 + 1);
        sheet.gauge("layout_step", "1 proposed, 2 frozen, 3 switched, 4 committed", step)?;
        let acked = standing.is_some_and(|standing| standing.acked);
        sheet.gauge("layout_acknowledged", "1 if the step is acknowledged", acked.into())?;
        let held = standing.map_or(0, |standing| standing.held.len());
        sheet.gauge("partitions_held", "Partitions held here", wide(held))?;
        self.moves(standing, sheet)
    }

    /// The change of layout: counts and sums, since a ring may have 4096 partitions.
    fn moves(&self, standing: Option<&Standing>, sheet: &mut Sheet<'_>) -> fmt::Result {
        let moved = standing.and_then(|standing| self.progress.report(standing)).unwrap_or_default();
        let help = "Partitions that a change brings to this node or takes from it, by how far they have come";
        sheet.by_state("moves", help, &self.progress.states(standing))?;
        let help = "Partitions that the target gives this node";
        sheet.gauge("target_partitions_wanted", help, moved.partitions_wanted.into())?;
        let help = "Of those, how many are synced";
        sheet.gauge("target_partitions_synced", help, moved.partitions_synced.into())?;
        sheet.gauge("target_bytes_wanted", "Bytes to be copied for the target", moved.bytes_wanted)?;
        sheet.gauge("target_bytes_pulled", "Of those, how many have come", moved.bytes_pulled)?;
        let help = "Bytes that comparing has fetched for the target afterwards";
        sheet.gauge("target_bytes_compared", help, moved.bytes_compared)?;
        let help = "Of the partitions wanted, those whose size is a guess yet";
        sheet.gauge("target_partitions_unsized", help, moved.partitions_unsized.into())?;
        let help = "Bytes that pulls carried in each of the last ten seconds; absent if unknown";
        sheet.known("target_pulled_bytes_per_second", help, moved.bytes_per_second)?;
        let help = "Seconds until the pulls end at that rate; absent if unknown";
        sheet.known("target_left_seconds", help, moved.left_ms.map(|ms| ms.div_ceil(1000)))
    }

    fn requests(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let help = "Clients' requests under way, repairs behind them included";
        sheet.gauge("requests_under_way", help, wide(self.gate.under_way()))?;
        let help = "Bytes of keys and values that these hold";
        sheet.gauge("request_bytes_under_way", help, wide(self.gate.bytes()))?;
        let help = "Part of the time that repairs, hints and transfers may take, by what requests feel";
        sheet.ratio("background_share_ratio", help, self.foreground.share().ratio())?;
        let help = "The most that copying and handing over, hints, and repairs may take, each, in a second";
        sheet.gauge("background_limit_bytes", help, self.limit.bytes_per_second())?;
        sheet.gauge("peers", "Other members that are dialled", wide(self.peers.dialled()))?;
        sheet.gauge("peers_up", "Of those, how many can be reached", wide(self.peers.up().len()))?;
        let (known, suspected) = self.gossip.counts();
        sheet.gauge("gossip_members", "Other members that this node has heard of by gossip", wide(known))?;
        sheet.gauge("gossip_suspected", "Members suspected to be gone", wide(suspected))?;
        let (messages, bytes) = self.peers.depth();
        sheet.gauge("peer_queue_messages", "Requests that wait to be sent to members", wide(messages))?;
        sheet.gauge("peer_queue_bytes", "Bytes that wait to be sent to members", wide(bytes))?;
        let help = "Bytes of large messages that come in parts, or wait to be sent as answers";
        sheet.gauge("large_messages_bytes", help, wide(self.room.held()))?;
        let help = "Bytes of answers above 16 KiB on their way to clients";
        sheet.gauge("answers_bytes", help, wide(self.answers.held()))
    }
}

impl Collector for Gauges {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sheet = Sheet(encoder);
        self.store(&mut sheet)?;
        self.layout(&mut sheet)?;
        self.requests(&mut sheet)
    }
}

fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
