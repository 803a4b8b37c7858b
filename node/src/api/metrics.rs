//! What is counted and timed of requests.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Op {
    /// A read.
    Get,
    /// A write.
    Put,
    /// A write of a tombstone.
    Delete,
    /// A page of keys.
    List,
}

/// How it ended, in the words of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Ended {
    /// Well.
    Ok,
    /// The request could never succeed.
    Invalid,
    /// Too few members answered.
    Unavailable,
    /// A queue was full.
    Exhausted,
    /// The key holds too many versions.
    Refused,
    /// A fault.
    Failed,
}

impl From<tonic::Code> for Ended {
    fn from(code: tonic::Code) -> Self {
        match code {
            tonic::Code::Ok => Self::Ok,
            tonic::Code::InvalidArgument => Self::Invalid,
            tonic::Code::Unavailable => Self::Unavailable,
            tonic::Code::ResourceExhausted => Self::Exhausted,
            tonic::Code::FailedPrecondition => Self::Refused,
            _ => Self::Failed,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    op: Op,
    outcome: Ended,
    /// It came forwarded from another member.
    forwarded: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    op: Op,
}

/// Upper bounds in seconds: from a cached read to the cap of a request.
const BUCKETS: [f64; 15] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0];

/// Upper bounds of versions: one is the rule, 64 the most that a write may leave by default.
const VERSIONS: [f64; 9] = [0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0];

/// The figures of this room.
#[derive(Debug, Clone)]
pub struct ApiMetrics {
    requests: Family<Request, Counter>,
    seconds: Family<Timed, Histogram, fn() -> Histogram>,
    siblings: Family<Timed, Histogram, fn() -> Histogram>,
}

impl ApiMetrics {
    /// Registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let versions: fn() -> Histogram = || Histogram::new(VERSIONS);
        let metrics = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            siblings: Family::new_with_constructor(versions),
        };
        let help = "Requests of clients, by operation, outcome, and whether a member forwarded them";
        registry.register("requests", help, metrics.requests.clone());
        let help = "Time from a request's arrival to its answer";
        registry.register_with_unit("request_duration", help, Unit::Seconds, metrics.seconds.clone());
        let help = "Versions of a key, as reads found them and writes left them";
        registry.register("siblings", help, metrics.siblings.clone());
        metrics
    }

    /// Counts the versions, tombstones among them, that a read found or a write left.
    pub fn found(&self, op: Op, versions: usize) {
        let versions = u32::try_from(versions).unwrap_or(u32::MAX);
        self.siblings.get_or_create(&Timed { op }).observe(versions.into());
    }

    /// Counts a request that has ended.
    pub fn ended(&self, op: Op, code: tonic::Code, forwarded: bool, took: Duration) {
        let forwarded = if forwarded { "true" } else { "false" };
        self.requests.get_or_create(&Request { op, outcome: code.into(), forwarded }).inc();
        self.seconds.get_or_create(&Timed { op }).observe(took.as_secs_f64());
    }
}
