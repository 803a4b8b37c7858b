//! A node put together: an [`Engine`] on a data directory, behind two ports.
//!
//! Start: token, ports, data directory, commit thread, engine, servers; then the engine decides whether the node is still
//! who it was, and serves. Stop: no longer ready, nothing new is taken, what runs ends, workers end, streams close, the
//! commit thread writes its last batch, and the mark of a clean stop is the last thing on disk.

mod error;
mod services;
mod stop;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::error::{Fatal, StartError};
use self::services::{Served, Services};
use crate::api::token::TokenGuard;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::engine::{Engine, Ground, Unfit};
use crate::entropy::Entropy;
use crate::peer::carried::Carried;
use crate::peer::grpc::Grpc;
use crate::store::{CommitThread, Committer, DataDirectory, FjallStore, Opened, Store, off_thread};

/// A running node.
pub struct Node {
    grpc: SocketAddr,
    http: SocketAddr,
    engine: Engine,
    committer: Committer,
    thread: CommitThread,
    store: Arc<FjallStore>,
    directory: DataDirectory,
    stop: watch::Sender<bool>,
    servers: Vec<Served>,
    health: JoinHandle<()>,
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
        let Opened { directory, store, identity, was_clean, process, is_new, set_aside } =
            open(&config).await?;
        if let Some(aside) = set_aside {
            tracing::info!(aside = %aside.display(), "the node that was here had retired; its data is set aside");
        }
        tracing::info!(name = config.name, node = %identity.node_id, is_new, was_clean, "data directory is open");

        let failed = |why| StartError::Data { path: config.data_dir.clone(), why };
        let shared: Arc<dyn Store> = Arc::<FjallStore>::clone(&store);
        let (committer, thread) =
            Committer::start(Arc::clone(&shared), config.key_limits(), config.queues.commit())
                .map_err(failed)?;
        let carried = Carried::default();
        let ground = Ground {
            name: config.name.clone(),
            store: shared,
            committer: committer.clone(),
            identity,
            was_clean,
            process,
            addresses: config.addresses(grpc_address.port()),
            transport: Arc::new(Grpc::new(carried.clone())),
            clock: Arc::new(SystemClock),
            entropy: Entropy::from_os(),
        };
        let engine = Engine::build(ground, config.engine()).map_err(failed)?;
        engine.metrics.register(|registry| carried.register(registry));
        let (stop, stopped) = watch::channel(false);
        let services = Services { engine: &engine, token, door: config.door() };
        let (servers, health) = services.serve(grpc, http, &stopped)?;

        let mut node = Self {
            grpc: grpc_address,
            http: http_address,
            engine,
            committer,
            thread,
            store,
            directory,
            stop,
            servers,
            health,
        };
        match node.engine.start().await {
            Ok(()) => {}
            Err(Unfit::SetBack(set_back)) => {
                let aside = node.set_aside().await;
                return Err(StartError::SetBack { set_back, aside });
            }
            Err(why) => return Err(StartError::Unfit(why)),
        }
        tracing::info!(grpc = %node.grpc, http = %node.http, ready = node.is_ready(), "started");
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
        self.engine.life.is_ready()
    }
}

async fn listen(address: SocketAddr, flag: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|why| StartError::Listen { address, why, flag })
}

/// Where it really listens: a test asks for port 0.
fn address(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

/// Opens the data directory. After a crash that may take a while.
async fn open(config: &Config) -> Result<Opened, StartError> {
    let path = config.data_dir.clone();
    let (opening, options) = (path.clone(), config.store());
    match off_thread(move || DataDirectory::open(&opening, options)).await {
        Some(opened) => opened.map_err(|why| StartError::of_open(path, why)),
        None => Err(StartError::Directory { path, why: io::Error::other("the opening thread ended") }),
    }
}
