//! A node put together: what is started in which order, and how it is stopped.
//!
//! Start: token, ports, data directory, commit thread, layout, peers, servers; then the question whether the node is
//! still who it was, which its peers answer while it answers theirs; then it serves. Stop: no longer ready, nothing new
//! is taken, what runs ends, workers end, streams close, the commit thread writes its last batch, and the mark of a clean
//! stop is the last thing on disk.

mod error;
mod greetings;
mod ground;
mod services;
mod stop;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::error::{Fatal, StartError};
use self::ground::Ground;
use self::services::Services;
use crate::api::token::TokenGuard;
use crate::config::Config;
use crate::hint::{Deliverer, HintMetrics};
use crate::identity::{Alarm, Start, settle};
use crate::limits::Gate;
use crate::metrics::Metrics;
use crate::metrics::gauges::Gauges;
use crate::peer::{Bounds, Network, Peers, Voice};
use crate::phase::{Life, Phase};
use crate::repair::{AntiEntropy, RepairMetrics};
use crate::store::{CommitThread, Committer, DataDirectory, FjallStore, NewActor};
use crate::transfer::{Copier, Exchange, Giver, Pace, Progress};
use crate::version::ActorId;
use crate::worker;

/// How long the start waits for other members to say what they know of this node.
const SETTLE: Duration = Duration::from_secs(3);

/// How long the start waits for the other members to be connected.
const CONNECT: Duration = Duration::from_secs(1);

/// A running node.
pub struct Node {
    grpc: SocketAddr,
    http: SocketAddr,
    life: Life,
    gate: Gate,
    peers: Peers,
    committer: Committer,
    alarm: Alarm,
    thread: CommitThread,
    store: Arc<FjallStore>,
    directory: DataDirectory,
    stop: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
    servers: Vec<(&'static str, JoinHandle<Result<(), String>>)>,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("grpc", &self.grpc).field("http", &self.http).finish_non_exhaustive()
    }
}

impl Node {
    /// Starts a node. It is dormant until a layout names it, and serves from then on.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let token = TokenGuard::from_file(&config.admin_token_file)?;
        let grpc = listen(config.listen, "--listen").await?;
        let http = listen(config.http, "--http").await?;
        let (grpc_address, http_address) = (address(&grpc, config.listen), address(&http, config.http));
        let ground = Ground::open(&config).await?;
        let Ground { directory, store, identity, was_clean, committer, thread, local, layouts, keeper } =
            ground;
        let (node_id, actor) = (identity.node_id, identity.actor);
        let voice = Voice::new(config.name.clone(), node_id, actor, committer.clone(), layouts.clone());
        let (voice, alarm, bounds) = (Arc::new(voice), Alarm::default(), Bounds::default());
        // After the voice has read what was found on disk: the keeper may write.
        let mut tasks = vec![tokio::spawn(keeper.run())];
        let listener = greetings::listener(&alarm, voice.found(), committer.clone());
        let peers = Peers::start(Arc::clone(&voice), layouts.clone(), bounds, listener);
        let network: Arc<dyn Network> = Arc::new(peers.clone());
        let life = Life::new(layouts.clone(), committer.clone());
        let gate = Gate::new(config.request_limits());
        let (metrics, progress) = (Arc::new(Metrics::default()), Progress::default());
        let exchange = Exchange {
            network: Arc::clone(&network),
            local: local.clone(),
            committer: committer.clone(),
            layouts: layouts.clone(),
        };
        metrics.collect(Box::new(Gauges {
            committer: committer.clone(),
            local,
            layouts: layouts.clone(),
            peers: peers.clone(),
            gate: gate.clone(),
            life: life.clone(),
            progress: progress.clone(),
        }));
        let (stop, stopped) = watch::channel(false);
        let services = Services {
            config: &config,
            token,
            life: life.clone(),
            gate: gate.clone(),
            peers: peers.clone(),
            store: Arc::<FjallStore>::clone(&store),
            voice: Arc::clone(&voice),
            bounds,
            exchange: exchange.clone(),
            progress: progress.clone(),
            metrics: Arc::clone(&metrics),
        };
        let servers = services.serve(grpc, http, &stopped, &mut tasks)?;

        let mut node = Self {
            grpc: grpc_address,
            http: http_address,
            life,
            gate,
            peers,
            committer,
            alarm,
            thread,
            store,
            directory,
            stop,
            workers: Vec::new(),
            servers,
            tasks,
        };
        if let Some(standing) = layouts.current() {
            let start = settle(&*network, &standing, node_id, voice.found(), was_clean, SETTLE).await;
            node = node.carry_out(start, &voice).await?;
        }
        voice.settle();
        // A short while for the streams to open: the first requests would find nobody. Whoever is away stays away.
        node.peers.all_up(CONNECT).await;
        node.life.enter(Phase::Serving);
        node.workers = workers(&config, &exchange, progress, &metrics, &stopped);
        tracing::info!(grpc = %node.grpc, http = %node.http, ready = node.life.is_ready(), "started");
        Ok(node)
    }

    /// Where clients, peers and the operator call.
    pub const fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Where figures and probes are.
    pub const fn http(&self) -> SocketAddr {
        self.http
    }

    /// Whether it serves.
    pub fn is_ready(&self) -> bool {
        self.life.is_ready()
    }

    async fn carry_out(self, start: Start, voice: &Voice) -> Result<Self, StartError> {
        match start {
            Start::Keep => Ok(self),
            Start::NewActor(why) => {
                let actor = ActorId(rand::random());
                tracing::info!(%actor, %why, "goes on under a new actor id");
                self.committer.submit(NewActor(actor))?.durable().await?;
                voice.set_actor(actor);
                Ok(self)
            }
            Start::SetBack(set_back) => {
                let aside = self.set_aside().await;
                Err(StartError::SetBack { set_back, aside })
            }
        }
    }
}

async fn listen(address: SocketAddr, flag: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|why| StartError::Listen { address, why, flag })
}

/// Where it really listens: a test asks for port 0.
fn address(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

/// What goes on behind requests.
fn workers(
    config: &Config,
    exchange: &Exchange,
    progress: Progress,
    metrics: &Metrics,
    stopped: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let pace = || Pace::new(config.rebalance_max_bytes_per_second);
    // What comes and what goes with a change of layout share one pace.
    let rebalance = pace();
    let hints = metrics.register(HintMetrics::register);
    let repairs = metrics.register(RepairMetrics::register);
    let copier = Copier::new(exchange.clone(), rebalance.clone(), progress);
    let giver = Giver::new(exchange.clone(), rebalance);
    let deliverer = Deliverer::new(exchange.clone(), pace(), hints);
    let anti_entropy = AntiEntropy::new(exchange.clone(), pace(), repairs, config.anti_entropy_interval());
    vec![
        worker::spawn(copier, stopped.clone()),
        worker::spawn(giver, stopped.clone()),
        worker::spawn(deliverer, stopped.clone()),
        worker::spawn(anti_entropy, stopped.clone()),
    ]
}
