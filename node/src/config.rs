//! The command line and environment of `dynamo-node`.

mod queues;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use dynamo_telemetry::export::Destination;

pub use self::queues::Queues;
use crate::api::door::Door;
use crate::coordinate::Patience;
use crate::engine::Settings;
use crate::gossip::GossipSettings;
use crate::limits::RequestLimits;
use crate::log::LogFormat;
use crate::reap::ReapSettings;
use crate::store;
use crate::store::fjall::FjallOptions;

/// One member of a Dynamo-style key-value store.
///
/// A node starts dormant. It serves as soon as a layout that names it is sent to it, by the operator or by dynamoctl.
#[derive(Debug, Clone, Parser)]
#[command(name = "dynamo-node", version)]
pub struct Config {
    /// The pod's name, or any name that is unique in the cluster.
    #[arg(long, env = "DYNAMO_NAME")]
    pub name: String,

    /// Where clients, peers and the operator call: gRPC.
    #[arg(long, env = "DYNAMO_LISTEN", default_value = "0.0.0.0:7070")]
    pub listen: SocketAddr,

    /// Where other members find this node now, beside its name in the layout: an IP address, or host and port; the port
    /// of --listen if it has none. A hint that members tell each other. Given more than once, or parted by commas, all
    /// are told.
    #[arg(long, env = "DYNAMO_ADVERTISE", value_delimiter = ',', value_parser = advertised)]
    pub advertise: Vec<Advertised>,

    /// Where /metrics, /healthz and /readyz are.
    #[arg(long, env = "DYNAMO_HTTP", default_value = "0.0.0.0:7071")]
    pub http: SocketAddr,

    /// Where data is kept. Made if it is not there; one process at a time.
    #[arg(long, env = "DYNAMO_DATA_DIR")]
    pub data_dir: PathBuf,

    /// A file with the cluster's token, which every call of the Admin service has to show.
    #[arg(long, env = "DYNAMO_ADMIN_TOKEN_FILE")]
    pub admin_token_file: PathBuf,

    /// How logs are written; RUST_LOG says which.
    #[arg(long, env = "DYNAMO_LOG", value_enum, default_value = "json")]
    pub log: LogFormat,

    /// Where spans of requests are sent, like http://collector:4317 (OTLP over gRPC). None are made if it is not given.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,

    /// Which part of the requests is traced whose clients make no traces themselves, from 0 to 1.
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value_t = 0.01, value_parser = part)]
    pub trace_ratio: f64,

    /// Longest value, in bytes.
    #[arg(long, env = "DYNAMO_MAX_VALUE_BYTES", default_value_t = 1 << 20,
          value_parser = clap::value_parser!(u64).range(1..=16 << 20))]
    pub max_value_bytes: u64,

    /// Versions that a key may hold after a put; more are refused until a write settles them.
    #[arg(long, env = "DYNAMO_MAX_SIBLINGS", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_siblings: u64,

    /// Bytes that the versions of one key may have together after a put.
    #[arg(long, env = "DYNAMO_MAX_SIBLING_BYTES", default_value_t = 16 << 20,
          value_parser = clap::value_parser!(u64).range(1..=32 << 20))]
    pub max_sibling_bytes: u64,

    /// No request takes longer than this, in ms, whatever its client says.
    #[arg(long, env = "DYNAMO_REQUEST_TIMEOUT_MS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub request_timeout_ms: u64,

    /// A member that has not answered a write after this, in ms, is replaced by a stand-in with a hint.
    #[arg(long, env = "DYNAMO_HANDOFF_TIMEOUT_MS", default_value_t = 500,
          value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub handoff_timeout_ms: u64,

    /// After this, in ms, a read asks one member more.
    #[arg(long, env = "DYNAMO_HEDGE_TIMEOUT_MS", default_value_t = 50,
          value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub hedge_timeout_ms: u64,

    /// Requests that may be under way; more are refused at once.
    #[arg(long, env = "DYNAMO_MAX_REQUESTS", default_value_t = 4096,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub max_requests: u64,

    /// Bytes of keys and values that may be under way; more are refused at once.
    #[arg(long, env = "DYNAMO_MAX_REQUEST_BYTES", default_value_t = 256 << 20,
          value_parser = clap::value_parser!(u64).range(1 << 20..))]
    pub max_request_bytes: u64,

    /// Bytes of messages above 1 MiB from members that are held at a time: such as come in parts, and such as wait to be
    /// sent as answers. More are refused at once and tried again; one that is larger comes through alone.
    #[arg(long, env = "DYNAMO_MAX_LARGE_BYTES", default_value_t = 256 << 20,
          value_parser = clap::value_parser!(u64).range(1 << 20..))]
    pub max_large_bytes: u64,

    /// Bytes of answers above 16 KiB that may be on their way to clients at a time; reads that find more are refused at
    /// once. One that is larger goes alone.
    #[arg(long, env = "DYNAMO_MAX_ANSWER_BYTES", default_value_t = 256 << 20,
          value_parser = clap::value_parser!(u64).range(1 << 20..))]
    pub max_answer_bytes: u64,

    /// Memory for blocks read from disk, in bytes.
    #[arg(long, env = "DYNAMO_CACHE_BYTES", default_value_t = 64 << 20)]
    pub cache_bytes: u64,

    /// Bytes kept free on the volume; writes are refused below. A twentieth of the volume if not given, within 128 MiB
    /// and 4 GiB.
    #[arg(long, env = "DYNAMO_RESERVE_BYTES")]
    pub reserve_bytes: Option<u64>,

    /// Bytes per second that copying, handing over, hints and repairs may take, each; 0 is no limit.
    #[arg(long, env = "DYNAMO_REBALANCE_MAX_BYTES_PER_SECOND", default_value_t = 0)]
    pub rebalance_max_bytes_per_second: u64,

    /// Between two rounds of anti-entropy, in ms.
    #[arg(long, env = "DYNAMO_ANTI_ENTROPY_INTERVAL_MS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(10..))]
    pub anti_entropy_interval_ms: u64,

    /// Between two passes that begin rounds of reaping, for deleted and expired keys, in ms.
    #[arg(long, env = "DYNAMO_REAP_INTERVAL_MS", default_value_t = 60_000,
          value_parser = clap::value_parser!(u64).range(10..))]
    pub reap_interval_ms: u64,

    /// Deleted or expired keys that a partition must have before a round is begun for it.
    #[arg(long, env = "DYNAMO_REAP_LEAST_KEYS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub reap_least_keys: u64,

    /// Bounds of queues.
    #[command(flatten)]
    pub queues: Queues,
}

impl Config {
    /// Where other members find this node, which listens on `port`.
    pub fn addresses(&self, port: u16) -> Vec<String> {
        self.advertise.iter().map(|advertised| advertised.at(port)).collect()
    }

    /// The longest that a request may take.
    pub const fn request_cap(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// How patient a coordinator is.
    pub const fn patience(&self) -> Patience {
        Patience {
            handoff: Duration::from_millis(self.handoff_timeout_ms),
            hedge: Duration::from_millis(self.hedge_timeout_ms),
        }
    }

    /// Between two rounds of anti-entropy.
    pub const fn anti_entropy_interval(&self) -> Duration {
        Duration::from_millis(self.anti_entropy_interval_ms)
    }

    /// When rounds of reaping are begun.
    pub fn reap(&self) -> ReapSettings {
        ReapSettings {
            interval: Duration::from_millis(self.reap_interval_ms),
            least_keys: size(self.reap_least_keys),
        }
    }

    /// What requests have to be like.
    pub fn door(&self) -> Door {
        Door { max_value: size(self.max_value_bytes) }
    }

    /// What a coordinator admits.
    pub fn key_limits(&self) -> store::Limits {
        store::Limits { siblings: size(self.max_siblings), bytes: size(self.max_sibling_bytes) }
    }

    /// What may be under way.
    pub fn request_limits(&self) -> RequestLimits {
        RequestLimits { requests: size(self.max_requests), bytes: size(self.max_request_bytes) }
    }

    /// What the engine is told.
    pub fn engine(&self) -> Settings {
        Settings {
            door: self.door(),
            requests: self.request_limits(),
            request_cap: self.request_cap(),
            patience: self.patience(),
            bounds: self.queues.bounds(),
            share: self.queues.share(),
            large_bytes: size(self.max_large_bytes),
            answer_bytes: size(self.max_answer_bytes),
            background_bytes_per_second: self.rebalance_max_bytes_per_second,
            anti_entropy_interval: self.anti_entropy_interval(),
            reap: self.reap(),
            gossip: GossipSettings::default(),
        }
    }

    /// Where spans go, if anywhere.
    pub fn traces(&self) -> Option<Destination> {
        let endpoint = self.otlp_endpoint.clone().filter(|endpoint| !endpoint.is_empty())?;
        let (instance, ratio) = (self.name.clone(), self.trace_ratio);
        Some(Destination { endpoint, service: "dynamo-node", instance, ratio })
    }

    /// How the store is opened.
    pub const fn store(&self) -> FjallOptions {
        FjallOptions { cache_bytes: self.cache_bytes, reserve_bytes: self.reserve_bytes }
    }
}

/// An address under which this node is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// A name or an address; an IPv6 address without brackets.
    host: String,
    /// That of `--listen` if there is none.
    port: Option<u16>,
}

impl Advertised {
    fn at(&self, port: u16) -> String {
        let (host, port) = (&self.host, self.port.unwrap_or(port));
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// Reads `10.0.0.1`, `fd00::1`, `host`, and each of them with a port: `10.0.0.1:7070`, `[fd00::1]:7070`, `host:7070`.
fn advertised(text: &str) -> Result<Advertised, String> {
    let is = |host: &str, port| Advertised { host: host.to_owned(), port };
    let wrong = |why: &str| format!("{why}: give an IP address, or host:port");
    if let Ok(ip) = text.parse::<IpAddr>() {
        if ip.is_unspecified() {
            return Err(wrong("nobody can dial an unspecified address"));
        }
        return Ok(is(&ip.to_string(), None));
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Ok(is(&socket.ip().to_string(), Some(socket.port())));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong("the port is no number"))?)),
        None => (text, None),
    };
    let named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if host.is_empty() || host.len() > 253 || !host.chars().all(named) {
        return Err(wrong("no host name"));
    }
    Ok(is(host, port))
}

fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    if (0.0..=1.0).contains(&part) { Ok(part) } else { Err(format!("{part} is not between 0 and 1")) }
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
