//! A node put together: what is started in which order, and how it is stopped.
//!
//! Start: token, ports, data directory, commit thread, layout, peers, servers; then the question whether the node is
//! still who it was, which its peers answer while it answers theirs; then it serves. Stop: no longer ready, nothing new
//! is taken, what runs ends, workers end, streams close, the commit thread writes its last batch, and the mark of a clean
//! stop is the last thing on disk.

mod error;
mod services;
mod stop;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::error::{Fatal, StartError};
use crate::api::record::RecordText;
use crate::api::token::TokenGuard;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::coordinate::{Coordinator, CoordinateMetrics, Parts};
use crate::hint::{Deliverer, HintMetrics};
use crate::identity::{Alarm, Start, settle};
use crate::layout::Layouts;
use crate::limits::Gate;
use crate::metrics::Metrics;
use crate::metrics::gauges::Gauges;
use crate::peer::{Bounds, Network, Peers, Voice};
use crate::phase::{Life, Phase};
use crate::repair::{AntiEntropy, RepairMetrics};
use crate::store::{
    CommitThread, Committer, DataDirectory, FjallStore, Local, NewActor, Opened, QueueLimits, Store,
};
use crate::transfer::{Copier, Exchange, Giver, Pace, Progress};
use crate::version::ActorId;
use crate::worker;

/// How long the start waits for other members to say what they know of this node.
const SETTLE: Duration = Duration::from_secs(3);

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
        let Opened { directory, store, identity, was_clean, is_new, set_aside } = open(&config).await?;
        if let Some(aside) = set_aside {
            tracing::info!(aside = %aside.display(), "the node that was here had retired; its data is set aside");
        }
        tracing::info!(name = config.name, node = %identity.node_id, is_new, was_clean, "data directory is open");

        let queue = QueueLimits::default();
        let shared: Arc<dyn Store> = Arc::<FjallStore>::clone(&store);
        let (committer, thread) = Committer::start(Arc::clone(&shared), config.key_limits(), queue)
            .map_err(|why| StartError::Data { path: config.data_dir.clone(), why })?;
        let local = Local::new(Arc::clone(&shared));
        let (layouts, keeper) = Layouts::open(local.clone(), committer.clone(), identity.node_id)
            .map_err(|why| StartError::Data { path: config.data_dir.clone(), why })?;
        let mut tasks = vec![tokio::spawn(keeper.run())];

        let voice = Voice::new(
            config.name.clone(),
            identity.node_id,
            identity.actor,
            committer.clone(),
            layouts.clone(),
        );
        let (voice, alarm, bounds) = (Arc::new(voice), Alarm::default(), Bounds::default());
        let listener = alarm.listener(committer.clone());
        let peers = Peers::start(Arc::clone(&voice), layouts.clone(), bounds, listener);
        let network: Arc<dyn Network> = Arc::new(peers.clone());

        let metrics = Arc::new(Metrics::default());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let life = Life::new(layouts.clone(), committer.clone());
        let gate = Gate::new(config.request_limits());
        let coordinator = Coordinator::new(Parts {
            layouts: layouts.clone(),
            committer: committer.clone(),
            local: local.clone(),
            network: Arc::clone(&network),
            clock: Arc::clone(&clock),
            patience: config.patience(),
            metrics: metrics.register(CoordinateMetrics::register),
        });
        let (local_reader, exchange_committer) = (local.clone(), committer.clone());
        let exchange = Exchange {
            network: Arc::clone(&network),
            local: local_reader,
            committer: exchange_committer,
            layouts: layouts.clone(),
        };
        let progress = Progress::default();
        metrics.collect(Box::new(Gauges {
            committer: committer.clone(),
            local: local.clone(),
            layouts: layouts.clone(),
            peers: peers.clone(),
            gate: gate.clone(),
            life: life.clone(),
            progress: progress.clone(),
        }));

        let (stop, stopped) = watch::channel(false);
        let (grpc_address, http_address) = (address(&grpc, config.listen), address(&http, config.http));
        let services = services::Services {
            config: &config,
            token,
            life: life.clone(),
            gate: gate.clone(),
            coordinator,
            layouts: layouts.clone(),
            network: Arc::clone(&network),
            committer: committer.clone(),
            local,
            store: shared,
            voice: Arc::clone(&voice),
            clock,
            bounds,
            exchange: exchange.clone(),
            progress: progress.clone(),
            metrics: Arc::clone(&metrics),
            text: RecordText::default(),
        };
        let servers = services.serve(grpc, http, &stopped, &mut tasks)?;

        let mut node = Self {
            grpc: grpc_address,
            http: http_address,
            life,
            gate,
            peers,
            committer: committer.clone(),
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
            let own = committer.last_commit();
            let start = settle(&*network, &standing, identity.node_id, own, was_clean, SETTLE).await;
            node = node.carry_out(start, &voice).await?;
        }
        node.life.enter(Phase::Serving);

        let pace = || Pace::new(config.rebalance_max_bytes_per_second);
        let rebalance = pace();
        let hints = metrics.register(HintMetrics::register);
        let repairs = metrics.register(RepairMetrics::register);
        let interval = config.anti_entropy_interval();
        node.workers = vec![
            worker::spawn(Copier::new(exchange.clone(), rebalance.clone(), progress), stopped.clone()),
            worker::spawn(Giver::new(exchange.clone(), rebalance), stopped.clone()),
            worker::spawn(Deliverer::new(exchange.clone(), pace(), hints), stopped.clone()),
            worker::spawn(AntiEntropy::new(exchange, pace(), repairs, interval), stopped),
        ];
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

/// Opening may take a while after a crash.
async fn open(config: &Config) -> Result<Opened, StartError> {
    let (path, options) = (config.data_dir.clone(), config.store());
    let opened = tokio::task::spawn_blocking(move || DataDirectory::open(&path, options)).await;
    let path = config.data_dir.clone();
    match opened {
        Ok(opened) => opened.map_err(|why| StartError::of_open(path, why)),
        Err(why) => Err(StartError::Directory { path, why: std::io::Error::other(why) }),
    }
}
