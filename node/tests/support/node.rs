//! One node: its disk, and its process while it runs.

use std::sync::Arc;
use std::time::Duration;

use dynamo_node::api::admin::{AdminParts, AdminService};
use dynamo_node::clock::SystemClock;
use dynamo_node::coordinate::{CoordinateMetrics, Coordinator, Parts, Patience};
use dynamo_node::gossip::{Gossip, GossipMetrics, GossipSettings};
use dynamo_node::hint::{Deliverer, HintMetrics};
use dynamo_node::layout::Layouts;
use dynamo_node::limits::{Gate, RequestLimits};
use dynamo_node::pace::{Foreground, Limit, Pace};
use dynamo_node::peer::Voice;
use dynamo_node::peer::room::Room;
use dynamo_node::repair::{AntiEntropy, RepairMetrics};
use dynamo_node::store::{CommitThread, Committer, Identity, Limits, Local, MemoryStore, QueueLimits, Store};
use dynamo_node::transfer::serve::Serving;
use dynamo_node::transfer::{Copier, Exchange, Giver, Means, Progress, TransferMetrics, copy};
use dynamo_node::version::ActorId;
use dynamo_node::worker;
use dynamo_ring::NodeId;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::network::{Switchboard, Wire};

/// What survives a process.
#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) store: MemoryStore,
    pub(crate) identity: Identity,
}

/// How nodes are started.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settings {
    /// For transfers; zero is no limit.
    pub(crate) bytes_per_second: u64,
    /// Anti-entropy runs as well. Without it, what is alike in the end is alike by writes, copies and hand-over alone.
    pub(crate) repair: bool,
}

/// A process.
pub(crate) struct Running {
    pub(crate) layouts: Layouts,
    pub(crate) local: Local,
    pub(crate) committer: Committer,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) coordinator: Coordinator,
    pub(crate) admin: AdminService<SystemClock>,
    pub(crate) gate: Gate,
    pub(crate) serving: Serving,
    pub(crate) transfers: TransferMetrics,
    /// Tells this process from earlier ones of the node.
    pub(crate) process: u64,
    thread: CommitThread,
    tasks: Vec<JoinHandle<()>>,
    _stop: watch::Sender<bool>,
}

impl Disk {
    pub(crate) fn new(node_id: NodeId) -> Self {
        let store = MemoryStore::new();
        let actor = ActorId(u64::from(node_id.0[0]));
        let identity = Identity::establish(&store, Identity { node_id, actor, cluster_id: None }).unwrap();
        Self { store, identity }
    }
}

impl Running {
    pub(crate) fn start(board: &Arc<Switchboard>, disk: &Disk, name: String, settings: &Settings) -> Self {
        let store: Arc<dyn Store> = Arc::new(disk.store.clone());
        let local = Local::new(Arc::clone(&store));
        let (committer, thread) =
            Committer::start(Arc::clone(&store), Limits::default(), QueueLimits::default()).unwrap();
        let me = disk.identity.node_id;
        let (layouts, keeper) = Layouts::open(local.clone(), committer.clone(), me).unwrap();
        let wire = Arc::new(Wire::new(me, board));
        let exchange = Exchange {
            network: wire.clone(),
            local: local.clone(),
            committer: committer.clone(),
            layouts: layouts.clone(),
        };
        let (stopper, stop) = watch::channel(false);
        let limit = Limit::from(settings.bytes_per_second);
        let (pace, progress) = (Pace::new(limit.clone(), Foreground::default()), Progress::default());
        let transfers = TransferMetrics::default();
        let voice =
            Voice::new(name.clone(), me, disk.identity.actor, committer.clone(), layouts.clone()).into();
        let means =
            Means::new(voice, pace.clone(), progress.clone(), transfers.clone(), Room::new(copy::ROOM));
        let copier = Copier::new(exchange.clone(), means);
        let giver = Giver::new(exchange.clone(), pace.clone(), progress.clone());
        let deliverer = Deliverer::new(exchange.clone(), pace.clone(), HintMetrics::default());
        let often = Duration::from_millis(200);
        let repairer = AntiEntropy::new(exchange.clone(), pace.clone(), RepairMetrics::default(), often);
        let mut tasks = vec![
            tokio::spawn(keeper.run()),
            worker::spawn(copier, stop.clone()),
            worker::spawn(giver, stop.clone()),
            worker::spawn(deliverer, stop.clone()),
        ];
        if settings.repair {
            tasks.push(worker::spawn(repairer, stop));
        }
        let coordinator = Coordinator::new(Parts {
            layouts: layouts.clone(),
            committer: committer.clone(),
            local: local.clone(),
            network: wire.clone(),
            clock: Arc::new(SystemClock),
            patience: Patience { handoff: Duration::from_millis(500), hedge: Duration::from_millis(100) },
            metrics: CoordinateMetrics::default(),
        });
        let admin = {
            let layouts = exchange.layouts.clone();
            let gossip =
                Gossip::new(layouts, 1, Vec::new(), GossipSettings::default(), GossipMetrics::default());
            let clock = SystemClock;
            AdminService::new(AdminParts { exchange, progress, pace, limit, gossip, name, clock })
        };
        let gate = Gate::new(RequestLimits::default());
        let process = wire.process;
        Self {
            layouts,
            local,
            committer,
            store,
            coordinator,
            admin,
            gate,
            serving: Serving::default(),
            transfers,
            process,
            thread,
            tasks,
            _stop: stopper,
        }
    }

    /// Cuts everything off, and loses what was not synced.
    pub(crate) async fn kill(self: Arc<Self>, disk: &Disk) {
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
