//! A node without sockets and files: everything between its services and its store.
//!
//! The server puts it on a data directory and listens; a simulation puts many of them on disks in memory and a network of
//! its own, and turns the commit pump itself. Both run this code.
//!
//! Start: [`Engine::build`] (from here on peers are answered), then [`Engine::start`]: is the node still who it was? Then
//! it serves. Stop: [`Engine::drain`], [`Engine::close`]; what is left is the store.

mod greetings;
mod settings;
mod start;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use self::settings::Settings;
pub use self::start::Unfit;
use crate::api::admin::{AdminParts, AdminService};
use crate::api::admission::Admission;
use crate::api::kv::KvService;
use crate::api::metrics::ApiMetrics;
use crate::api::record::RecordText;
use crate::api::replica::{ReplicaParts, ReplicaService};
use crate::api::requests::Requests;
use crate::clock::Clock;
use crate::coordinate::{CoordinateMetrics, Coordinator, Parts, Patience};
use crate::entropy::Entropy;
use crate::gossip::{Gossip, GossipMetrics, Gossiper, GossiperParts};
use crate::hint::{Deliverer, HintMetrics};
use crate::identity::{Alarm, SetBack};
use crate::layout::Layouts;
use crate::limits::Gate;
use crate::metrics::Metrics;
use crate::metrics::gauges::Gauges;
use crate::pace::{Foreground, Limit, Pace};
use crate::peer::room::Room;
use crate::peer::{Dialling, Network, Peers, Streams, Transport, Voice, Within};
use crate::phase::{Life, Phase};
use crate::reap::{self, Participant, ReapMetrics, Reaper};
use crate::repair::{AntiEntropy, RepairMetrics};
use crate::store::{Committer, Identity, Local, Store, StoreError};
use crate::transfer::serve::Serving;
use crate::transfer::{Copier, Exchange, Giver, Means, Progress, TransferMetrics, copy};
use crate::worker;

/// How long running requests may take to end: as long as any request may take.
const DRAIN: Duration = Duration::from_secs(10);

/// What an engine stands on.
pub struct Ground {
    /// The pod's name.
    pub name: String,
    /// The store, whose only writer is behind `committer`.
    pub store: Arc<dyn Store>,
    /// The way to the commit thread, or to a pump that the caller turns.
    pub committer: Committer,
    /// Whose data it is.
    pub identity: Identity,
    /// The last stop was clean.
    pub was_clean: bool,
    /// How often the data directory was opened: which start of the node this is.
    pub process: u64,
    /// Where others can dial this node, beside the name that the layout has: host and port each.
    pub addresses: Vec<String>,
    /// What carries the streams to other members.
    pub transport: Arc<dyn Transport>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Ids, waits and choices.
    pub entropy: Entropy,
}

/// A node without sockets and files.
pub struct Engine {
    /// What clients call.
    pub kv: KvService,
    /// What members call.
    pub replica: ReplicaService,
    /// What the operator calls. Whoever lets calls in looks at the token before.
    pub admin: AdminService<Arc<dyn Clock>>,
    /// What this node goes by.
    pub layouts: Layouts,
    /// Where the process is in its life.
    pub life: Life,
    /// Reading the store.
    pub local: Local,
    /// Figures.
    pub metrics: Arc<Metrics>,
    identity: Identity,
    was_clean: bool,
    settings: Settings,
    entropy: Entropy,
    voice: Arc<Voice>,
    peers: Peers,
    gossip: Gossip,
    gate: Gate,
    exchange: Exchange,
    participant: Participant,
    progress: Progress,
    /// What comes and what goes with a change of layout share one pace.
    rebalance: Pace,
    foreground: Foreground,
    limit: Limit,
    transfers: TransferMetrics,
    alarm: Alarm,
    stop: watch::Sender<bool>,
    keeper: JoinHandle<()>,
    workers: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("node", &self.identity.node_id).finish_non_exhaustive()
    }
}

impl Engine {
    /// Puts a node together and begins to dial its peers. Let them be answered from now on.
    #[allow(
        clippy::too_many_lines,
        reason = "one room after another is put in its place; nothing is decided here"
    )]
    pub fn build(ground: Ground, settings: Settings) -> Result<Self, StoreError> {
        let Ground { name, store, committer, identity, was_clean, clock, entropy, .. } = ground;
        let local = Local::new(Arc::clone(&store));
        let (layouts, keeper) = Layouts::open(local.clone(), committer.clone(), identity.node_id)?;
        let voice =
            Voice::new(name.clone(), identity.node_id, identity.actor, committer.clone(), layouts.clone());
        let (voice, alarm, foreground) = (Arc::new(voice), Alarm::default(), Foreground::default());
        // After the voice has read what was found on disk: the keeper may write.
        let keeper = tokio::spawn(keeper.run());
        let room = Room::new(settings.large_bytes);
        let metrics = Arc::new(Metrics::default());
        let told = metrics.register(GossipMetrics::register);
        let gossip = Gossip::new(layouts.clone(), ground.process, ground.addresses, settings.gossip, told);
        let dialling = Dialling {
            voice: Arc::clone(&voice),
            transport: ground.transport,
            entropy: entropy.clone(),
            bounds: settings.bounds,
            room: room.clone(),
            on_hello: greetings::listener(&alarm, Arc::clone(&voice), committer.clone()),
            hearsay: Arc::new(gossip.clone()),
        };
        let peers = Peers::start(dialling, layouts.clone());
        let network: Arc<dyn Network> = Arc::new(peers.clone());
        let life = Life::new(layouts.clone(), committer.clone());
        let (gate, answers) = (Gate::new(settings.requests), Room::new(settings.answer_bytes));
        let (progress, limit) = (Progress::default(), Limit::from(settings.background_bytes_per_second));
        let rebalance = Pace::new(limit.clone(), foreground.clone());
        let transfers = metrics.register(TransferMetrics::register);
        let exchange = Exchange {
            network: Arc::clone(&network),
            local: local.clone(),
            committer: committer.clone(),
            layouts: layouts.clone(),
        };
        metrics.collect(Box::new(Gauges {
            committer: committer.clone(),
            local: local.clone(),
            layouts: layouts.clone(),
            peers: peers.clone(),
            gossip: gossip.clone(),
            gate: gate.clone(),
            room: room.clone(),
            answers: answers.clone(),
            life: life.clone(),
            progress: progress.clone(),
            foreground: foreground.clone(),
            limit: limit.clone(),
        }));
        let coordinator = coordinator(&exchange, &clock, settings.patience, &metrics);
        let requests = Requests {
            coordinator: coordinator.clone(),
            gate: gate.clone(),
            answers: answers.clone(),
            life: life.clone(),
            door: settings.door,
            metrics: metrics.register(ApiMetrics::register),
            foreground: foreground.clone(),
        };
        let (streams, text) = (Streams::default(), RecordText::default());
        let participant = participant(&exchange, &streams, &clock, &coordinator, &metrics);
        let kv = KvService::new(requests.clone(), layouts.clone(), text.clone(), settings.request_cap);
        let replica = ReplicaService::new(ReplicaParts {
            admission: Admission::new(layouts.clone(), network, life.clone(), text),
            layouts: layouts.clone(),
            committer,
            local: local.clone(),
            store,
            serving: Serving::new(foreground.clone(), transfers.clone()),
            participant: participant.clone(),
            streams,
            requests,
            peers: peers.clone(),
            gossip: gossip.clone(),
            voice: Arc::clone(&voice),
            clock: Arc::clone(&clock),
            within: Within { bounds: settings.bounds, share: settings.share, room },
        });
        Ok(Self {
            kv,
            replica,
            admin: AdminService::new(AdminParts {
                exchange: exchange.clone(),
                progress: progress.clone(),
                pace: rebalance.clone(),
                limit: limit.clone(),
                gossip: gossip.clone(),
                name,
                clock,
            }),
            layouts,
            life,
            local,
            metrics,
            identity,
            was_clean,
            settings,
            entropy,
            voice,
            peers,
            gossip,
            gate,
            exchange,
            participant,
            progress,
            rebalance,
            foreground,
            limit,
            transfers,
            alarm,
            stop: watch::Sender::new(false),
            keeper,
            workers: Vec::new(),
        })
    }

    /// Waits until a peer proves that the data is an older copy. Then nothing of it may be served again.
    pub async fn set_back(&self) -> SetBack {
        self.alarm.raised().await
    }

    /// Clients' requests that run now.
    pub fn under_way(&self) -> usize {
        self.gate.under_way()
    }

    /// Takes nothing new, and waits for what runs: as long as a request may take.
    pub async fn drain(&self) {
        self.life.enter(Phase::Stopping);
        if timeout(DRAIN, self.gate.empty()).await.is_err() {
            tracing::warn!(under_way = self.gate.under_way(), "some requests did not end in time");
        }
    }

    /// Ends the workers and the streams to other members. What the store was given is still to be written.
    pub async fn close(&mut self) {
        self.life.enter(Phase::Stopping);
        self.stop.send_replace(true);
        join_all(self.workers.drain(..)).await;
        self.peers.stop();
        self.keeper.abort();
        // An aborted task still has to let go of what it holds.
        let _ = (&mut self.keeper).await;
    }

    /// What goes on behind requests.
    fn workers(&self) -> Vec<JoinHandle<()>> {
        let stopped = self.stop.subscribe();
        let pace = || Pace::new(self.limit.clone(), self.foreground.clone());
        self.metrics.register(|registry| self.exchange.committer.metrics().register(registry));
        let hints = self.metrics.register(HintMetrics::register);
        let repairs = self.metrics.register(RepairMetrics::register);
        let exchange = || self.exchange.clone();
        let (voice, progress) = (Arc::clone(&self.voice), self.progress.clone());
        let room = Room::new(copy::ROOM);
        let means = Means::new(voice, self.rebalance.clone(), progress, self.transfers.clone(), room);
        let copier = Copier::new(exchange(), means);
        let giver = Giver::new(exchange(), self.rebalance.clone(), self.progress.clone());
        let deliverer = Deliverer::new(exchange(), pace(), hints);
        let anti_entropy = AntiEntropy::new(exchange(), pace(), repairs, self.settings.anti_entropy_interval);
        let gossiper = Gossiper::new(GossiperParts {
            gossip: self.gossip.clone(),
            peers: self.peers.clone(),
            layouts: self.layouts.clone(),
            voice: Arc::clone(&self.voice),
            progress: self.progress.clone(),
            life: self.life.clone(),
            entropy: self.entropy.fork(),
            interval: self.settings.gossip.interval,
        });
        let reaper = Reaper::new(self.participant.clone(), self.settings.reap, self.entropy.clone());
        vec![
            worker::spawn(copier, stopped.clone()),
            worker::spawn(giver, stopped.clone()),
            worker::spawn(deliverer, stopped.clone()),
            worker::spawn(anti_entropy, stopped.clone()),
            worker::spawn(gossiper, stopped.clone()),
            worker::spawn(reaper, stopped),
        ]
    }
}

/// What coordinates clients' requests.
fn coordinator(
    exchange: &Exchange,
    clock: &Arc<dyn Clock>,
    patience: Patience,
    metrics: &Metrics,
) -> Coordinator {
    let Exchange { network, local, committer, layouts, .. } = exchange.clone();
    let metrics = metrics.register(CoordinateMetrics::register);
    Coordinator::new(Parts {
        layouts,
        committer,
        local,
        network,
        clock: Arc::clone(clock),
        patience,
        metrics,
    })
}

/// This node's part in rounds of reaping.
fn participant(
    exchange: &Exchange,
    streams: &Streams,
    clock: &Arc<dyn Clock>,
    coordinator: &Coordinator,
    metrics: &Metrics,
) -> Participant {
    let coordinator = coordinator.clone();
    Participant::new(reap::Parts {
        exchange: exchange.clone(),
        streams: streams.clone(),
        clock: Arc::clone(clock),
        reaping: Arc::new(move |position| coordinator.reaping(position)),
        metrics: metrics.register(ReapMetrics::register),
    })
}
