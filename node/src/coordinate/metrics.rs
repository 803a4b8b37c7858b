//! What is counted of quorums.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// How a quorum came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum End {
    /// The key's own members made it.
    Quorum,
    /// Stand-ins were needed.
    Sloppy,
    /// Too few answered.
    Short,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Kind {
    Read,
    Write,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    kind: Kind,
    end: End,
}

/// What became of a hash that a member told in the place of its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Digest {
    /// It was that of a state found whole.
    Match,
    /// No state found had it, or none had come, so that member's state was asked for too.
    Mismatch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Compared {
    outcome: Digest,
}

/// The counters of this room.
#[derive(Debug, Clone, Default)]
pub struct CoordinateMetrics {
    ended: Family<Ended, Counter>,
    forwarded: Counter,
    restarted: Counter,
    handed_off: Counter,
    hinted: Counter,
    hedged: Counter,
    digests: Family<Compared, Counter>,
    repaired: Counter,
}

impl CoordinateMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        // A series that is there from the start tells "never" from "not known".
        for kind in [Kind::Read, Kind::Write] {
            for end in [End::Quorum, End::Sloppy, End::Short] {
                drop(metrics.ended.get_or_create(&Ended { kind, end }));
            }
        }
        for outcome in [Digest::Match, Digest::Mismatch] {
            drop(metrics.digests.get_or_create(&Compared { outcome }));
        }
        let Self { ended, forwarded, restarted, handed_off, hinted, hedged, digests, repaired } =
            metrics.clone();
        registry.register("quorums", "Requests coordinated here, by how their quorum came out", ended);
        registry.register("forwarded_writes", "Writes handed to a member that holds the key", forwarded);
        registry.register("restarted_requests", "Requests made again because the layout passed", restarted);
        registry.register("handoffs", "Copies sent to stand-ins with a hint", handed_off);
        registry.register("local_hints", "Hints that the coordinator keeps itself", hinted);
        registry.register("hedged_reads", "Reads that asked one more member for one that was slow", hedged);
        let help = "Hashes told by members in the place of states, by whether a state found whole had them";
        registry.register("read_digests", help, digests);
        registry.register("read_repairs", "Copies sent to stale members behind a read", repaired);
        metrics
    }

    pub(super) fn write_ended(&self, end: End) {
        self.ended.get_or_create(&Ended { kind: Kind::Write, end }).inc();
    }

    pub(super) fn read_ended(&self, end: End) {
        self.ended.get_or_create(&Ended { kind: Kind::Read, end }).inc();
    }

    pub(super) fn forwarded(&self) {
        self.forwarded.inc();
    }

    pub(super) fn restarted(&self) {
        self.restarted.inc();
    }

    pub(super) fn handed_off(&self) {
        self.handed_off.inc();
    }

    pub(super) fn hinted(&self) {
        self.hinted.inc();
    }

    pub(super) fn hedged(&self) {
        self.hedged.inc();
    }

    pub(super) fn digests(&self, outcome: Digest, count: usize) {
        if count > 0 {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            self.digests.get_or_create(&Compared { outcome }).inc_by(count);
        }
    }

    pub(super) fn repaired(&self, copies: usize) {
        self.repaired.inc_by(u64::try_from(copies).unwrap_or(u64::MAX));
    }
}
