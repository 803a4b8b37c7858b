//! One node: its disk, and its process while it runs.

use std::sync::Arc;
use std::time::Duration;

use dynamo_node::api::admin::AdminService;
use dynamo_node::clock::SystemClock;
use dynamo_node::coordinate::{CoordinateMetrics, Coordinator, Parts, Patience};
use dynamo_node::hint::{Deliverer, HintMetrics};
use dynamo_node::layout::Layouts;
use dynamo_node::limits::{Gate, RequestLimits};
use dynamo_node::store::{
    CommitThread, Committer, Identity, Limits, Local, MemoryStore, QueueLimits, Store,
};
use dynamo_node::transfer::{Copier, Exchange, Giver, Pace, Progress};
use dynamo_node::version::ActorId;
use dynamo_node::worker;
use dynamo_ring::NodeId;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::network::{Switchboard, Wire};

/// What survives a process.
#[derive(Clone)]
pub struct Disk {
    pub store: MemoryStore,
    pub identity: Identity,
}

/// How nodes are started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// For transfers; zero is no limit.
    pub bytes_per_second: u64,
}

/// A process.
pub struct Running {
    pub layouts: Layouts,
    pub local: Local,
    pub committer: Committer,
    pub store: Arc<dyn Store>,
    pub coordinator: Coordinator,
    pub admin: AdminService<SystemClock>,
    pub gate: Gate,
    thread: CommitThread,
    tasks: Vec<JoinHandle<()>>,
    _stop: watch::Sender<bool>,
}

impl Disk {
    pub fn new(node_id: NodeId) -> Self {
        let store = MemoryStore::new();
        let actor = ActorId(u64::from(node_id.0[0]));
        let identity = Identity::establish(&store, Identity { node_id, actor, cluster_id: None }).unwrap();
        Self { store, identity }
    }
}

impl Running {
    pub fn start(board: &Arc<Switchboard>, disk: &Disk, name: String, settings: &Settings) -> Self {
        let store: Arc<dyn Store> = Arc::new(disk.store.clone());
        let local = Local::new(Arc::clone(&store));
        let (committer, thread) =
            Committer::start(Arc::clone(&store), Limits::default(), QueueLimits::default()).unwrap();
        let me = disk.identity.node_id;
        let (layouts, keeper) = Layouts::open(local.clone(), committer.clone(), me).unwrap();
        let wire = Arc::new(Wire::new(me, Arc::downgrade(board)));
        let exchange = Exchange {
            network: wire.clone(),
            local: local.clone(),
            committer: committer.clone(),
            layouts: layouts.clone(),
        };
        let (stopper, stop) = watch::channel(false);
        let (pace, progress) = (Pace::new(settings.bytes_per_second), Progress::default());
        let copier = Copier::new(exchange.clone(), pace.clone(), progress.clone());
        let giver = Giver::new(exchange.clone(), pace.clone());
        let deliverer = Deliverer::new(exchange.clone(), pace, HintMetrics::default());
        let tasks = vec![
            tokio::spawn(keeper.run()),
            worker::spawn(copier, stop.clone()),
            worker::spawn(giver, stop.clone()),
            worker::spawn(deliverer, stop),
        ];
        let coordinator = Coordinator::new(Parts {
            layouts: layouts.clone(),
            committer: committer.clone(),
            local: local.clone(),
            network: wire,
            clock: Arc::new(SystemClock),
            patience: Patience { handoff: Duration::from_secs(5), hedge: Duration::from_millis(500) },
            metrics: CoordinateMetrics::default(),
        });
        let admin = AdminService::new(exchange, progress, name, SystemClock);
        let gate = Gate::new(RequestLimits::default());
        Self { layouts, local, committer, store, coordinator, admin, gate, thread, tasks, _stop: stopper }
    }

    /// Cuts everything off, and loses what was not synced.
    pub async fn kill(self: Arc<Self>, disk: &Disk) {
        self.tasks.iter().for_each(JoinHandle::abort);
        // Whoever was in the middle of a call lets go of the process.
        let mut running = self;
        let alone = loop {
            match Arc::try_unwrap(running) {
                Ok(alone) => break alone,
                Err(shared) => running = shared,
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let Self { thread, .. } = alone;
        tokio::task::spawn_blocking(move || drop(thread.stop())).await.unwrap();
        disk.store.crash();
    }
}
