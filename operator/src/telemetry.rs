//! Logs and metrics, and the small HTTP server that shows them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;

use crate::api::cluster::DynamoClusterStatus;
use crate::names::Names;

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Log {
    /// A JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Begins to log; `RUST_LOG` says what.
pub fn log(how: Log) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,kube=warn"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter);
    match how {
        Log::Json => subscriber.json().init(),
        Log::Text => subscriber.init(),
    }
}

/// One cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cluster {
    namespace: String,
    cluster: String,
}

/// One way in which a pass ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// A kind of step, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Step {
    step: &'static str,
    outcome: &'static str,
}

type PerCluster = Family<Cluster, Gauge<u64, AtomicU64>>;

/// Counts and figures. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    leader: Gauge<i64, AtomicI64>,
    passes: Family<Outcome, Counter>,
    seconds: Histogram,
    steps: Family<Step, Counter>,
    ready: PerCluster,
    members: PerCluster,
    to_sync: PerCluster,
    synced: PerCluster,
    to_move: PerCluster,
    moved: PerCluster,
    epoch: PerCluster,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("dynamo_operator");
        let leader = Gauge::<i64, AtomicI64>::default();
        let passes = Family::<Outcome, Counter>::default();
        let seconds = Histogram::new([0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
        let steps = Family::<Step, Counter>::default();
        registry.register("leader", "1 while this process holds the lease", leader.clone());
        registry.register("passes", "Passes over a cluster by outcome", passes.clone());
        registry.register("pass_seconds", "Duration of a pass, members asked", seconds.clone());
        registry.register("steps", "Steps carried out by kind and outcome", steps.clone());
        let mut per_cluster = |name: &str, help: &str| {
            let family = PerCluster::default();
            registry.register(name, help, family.clone());
            family
        };
        let ready = per_cluster("cluster_members_ready", "Members of the stable layout that are Ready");
        let members = per_cluster("cluster_members_wanted", "Members that the spec wants");
        let to_sync = per_cluster("cluster_partitions_to_sync", "Replicas that the present change moves");
        let synced = per_cluster("cluster_partitions_synced", "Replicas of those that have arrived");
        let to_move = per_cluster("cluster_bytes_to_move", "Stored bytes that the present change moves");
        let moved = per_cluster("cluster_bytes_moved", "Entry bytes that its pulls have carried");
        let epoch = per_cluster("cluster_layout_epoch", "Epoch of the target, or of the stable layout");
        Self {
            registry: Arc::new(registry),
            leader,
            passes,
            seconds,
            steps,
            ready,
            members,
            to_sync,
            synced,
            to_move,
            moved,
            epoch,
        }
    }

    /// This process holds the lease from now on.
    pub fn leads(&self) {
        self.leader.set(1);
    }

    /// A pass has ended.
    pub fn pass(&self, outcome: &'static str, took: Duration) {
        self.passes.get_or_create(&Outcome { outcome }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// A step has ended.
    pub fn step(&self, step: &'static str, outcome: &'static str) {
        self.steps.get_or_create(&Step { step, outcome }).inc();
    }

    /// The figures of a cluster, as its status has them but without its pace.
    pub fn cluster(&self, names: &Names, status: &DynamoClusterStatus) {
        let labels = label(names);
        let set = |family: &PerCluster, value: u64| {
            family.get_or_create(&labels).set(value);
        };
        set(&self.ready, u64::try_from(status.ready).unwrap_or(0));
        set(&self.members, u64::try_from(status.members).unwrap_or(0));
        set(&self.to_sync, status.partitions_to_sync.into());
        set(&self.synced, status.partitions_synced.into());
        set(&self.to_move, status.bytes_to_move);
        set(&self.moved, status.bytes_moved);
        set(&self.epoch, status.epoch);
    }

    /// A cluster is no more.
    pub fn forget(&self, names: &Names) {
        let labels = label(names);
        let all = [
            &self.ready,
            &self.members,
            &self.to_sync,
            &self.synced,
            &self.to_move,
            &self.moved,
            &self.epoch,
        ];
        for family in all {
            family.remove(&labels);
        }
    }

    /// In the format of Prometheus.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let encoded = text::encode(&mut out, &self.registry);
        debug_assert!(encoded.is_ok());
        out
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn label(names: &Names) -> Cluster {
    Cluster { namespace: names.namespace.clone(), cluster: names.cluster.clone() }
}

/// Serves `/metrics`, `/healthz` and `/readyz` until the process ends. A follower is as ready as the leader.
pub async fn serve(address: SocketAddr, metrics: Metrics) -> std::io::Result<()> {
    // Whoever answers lives: a process that has lost its lease is gone.
    let alive = async || "ok\n";
    let figures = async |State(metrics): State<Metrics>| {
        ([("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text())
    };
    let router = Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(alive))
        .route("/metrics", get(figures))
        .with_state(metrics);
    axum::serve(tokio::net::TcpListener::bind(address).await?, router).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_and_go_with_their_cluster() {
        let metrics = Metrics::new();
        let names = Names::new("shop", "cart");
        let status = DynamoClusterStatus { ready: 3, bytes_moved: 77, ..DynamoClusterStatus::default() };
        metrics.cluster(&names, &status);
        metrics.step("Tell", "done");
        let text = metrics.text();
        let line = "dynamo_operator_cluster_bytes_moved{namespace=\"shop\",cluster=\"cart\"} 77";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("dynamo_operator_steps_total{step=\"Tell\",outcome=\"done\"} 1"), "{text}");
        metrics.forget(&names);
        assert!(!metrics.text().contains("cart"));
    }
}
