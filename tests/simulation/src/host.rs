//! One machine: a disk and a clock that stay, and a process that comes and goes.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dynamo_node::clock::Clock;
use dynamo_node::engine::{Engine, Ground, Settings};
use dynamo_node::identity::SetBack;
use dynamo_node::store::directory::{consume_clean_mark, count_start, write_clean_mark};
use dynamo_node::store::{
    Committer, Identity, Limits, MemoryStore, MetaKey, Pump, QueueLimits, Read, Space, Store,
};
use dynamo_ring::NodeId;
use futures::FutureExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use crate::net::{Net, Process, Socket, address};

/// A wall clock that runs with the virtual time, and may be off.
#[derive(Debug)]
pub struct SkewedClock {
    begun: Instant,
    off_ms: AtomicI64,
}

impl SkewedClock {
    /// Sets it off by so many ms.
    pub fn skew(&self, off_ms: i64) {
        self.off_ms.store(off_ms, Ordering::Relaxed);
    }
}

impl Clock for SkewedClock {
    fn now_ms(&self) -> u64 {
        let since = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        (1_700_000_000_000 + since).saturating_add_signed(self.off_ms.load(Ordering::Relaxed))
    }
}

type SharedPump = Arc<Mutex<Option<Pump>>>;

/// A process that runs.
struct Running {
    engine: Engine,
    pump: SharedPump,
    committer: Committer,
    /// Dropped with the process: whoever waits for an answer of it learns that there will be none.
    alive: watch::Sender<()>,
}

/// One machine.
pub struct Host {
    /// Its number.
    pub machine: usize,
    /// Its disk.
    pub disk: MemoryStore,
    /// Its clock.
    pub clock: Arc<SkewedClock>,
    /// It is there at all: one that was removed is not started by whoever passes by.
    pub present: bool,
    /// Its processes tell others at which address they are.
    pub tells_address: bool,
    net: Net,
    chance: Chance,
    settings: Settings,
    life: u64,
    running: Option<Running>,
    /// A process here took its data for an older copy; nobody puts one back.
    feigned: Option<SetBack>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl Host {
    /// A machine whose disk is empty.
    pub fn new(machine: usize, net: Net, chance: Chance, settings: Settings) -> Self {
        let clock = Arc::new(SkewedClock { begun: Instant::now(), off_ms: AtomicI64::new(0) });
        let (disk, life) = (MemoryStore::new(), 0);
        Self {
            machine,
            disk,
            clock,
            present: true,
            tells_address: true,
            net,
            chance,
            settings,
            life,
            running: None,
            feigned: None,
        }
    }

    /// The process, if one runs.
    pub fn engine(&self) -> Option<&Engine> {
        self.running.as_ref().map(|running| &running.engine)
    }

    /// Ends when the process that runs now has gone.
    pub fn gone(&self) -> Option<watch::Receiver<()>> {
        self.running.as_ref().map(|running| running.alive.subscribe())
    }

    /// Why a process of this machine took its data for an older copy, if one has.
    pub fn set_back(&self) -> Option<SetBack> {
        let now = self.engine().and_then(|engine| engine.set_back().now_or_never());
        self.feigned.or(now)
    }

    /// Why the store of the process that runs has failed, if it has.
    pub fn has_failed(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.committer.fatal().borrow().is_some())
    }

    /// Whose data is on the disk.
    pub fn node_id(&self) -> Option<NodeId> {
        Some(Identity::read(&self.disk).ok()??.node_id)
    }

    /// Starts a process on the disk; on an empty one if the node there has retired, as a data directory is opened.
    ///
    /// # Errors
    /// When the machine was removed, or the node finds itself unfit, in words. The process is gone then.
    pub async fn start(&mut self) -> Result<(), String> {
        let words = |why: dynamo_node::store::StoreError| why.to_string();
        if !self.present {
            return Err("the machine was removed".to_owned());
        }
        if self.disk.get(Space::Meta, &MetaKey::Retired.encode()).map_err(words)?.is_some() {
            self.disk = MemoryStore::new();
        }
        let me = Process { machine: self.machine, life: self.life };
        self.life += 1;
        let identity = Identity::establish(&self.disk, Identity::drawn(&self.chance.0)).map_err(words)?;
        let was_clean = consume_clean_mark(&self.disk).map_err(words)?;
        let process = count_start(&self.disk).map_err(words)?;
        let store: Arc<dyn Store> = Arc::new(self.disk.clone());
        let (committer, pump) =
            Committer::manual(Arc::clone(&store), Limits::default(), QueueLimits::default())
                .map_err(words)?;
        let pump: SharedPump = Arc::new(Mutex::new(Some(pump)));
        let clock: Arc<dyn Clock> = Arc::<SkewedClock>::clone(&self.clock);
        let ground = Ground {
            name: format!("cart-{}", self.machine),
            store,
            committer: committer.clone(),
            identity,
            was_clean,
            process,
            addresses: if self.tells_address { vec![address(me)] } else { Vec::new() },
            transport: Arc::new(Socket { net: self.net.clone(), me }),
            clock,
            entropy: self.chance.0.clone(),
        };
        tokio::spawn(turn(
            Arc::clone(&pump),
            committer.clone(),
            self.net.clone(),
            self.chance.clone(),
            self.machine,
        ));
        let engine = Engine::build(ground, self.settings).map_err(words)?;
        self.net.plug(me, engine.replica.clone());
        let mut running = Running { engine, pump, committer, alive: watch::Sender::new(()) };
        let started = running.engine.start().await;
        self.running = Some(running);
        if let Err(why) = started {
            self.crash().await;
            return Err(why.to_string());
        }
        Ok(())
    }

    /// The process is gone this moment, and of what its disk had not synced a part.
    pub async fn crash(&mut self) {
        self.net.unplug(self.machine);
        self.feigned = self.set_back();
        let Some(mut running) = self.running.take() else { return };
        if let Some(pump) = running.pump.lock().unwrap_or_else(PoisonError::into_inner).take() {
            pump.abandon();
        }
        let unsynced = self.disk.unsynced();
        self.disk.crash_keeping(self.chance.0.below(unsynced + 1));
        drop(running.alive);
        running.engine.close().await;
    }

    /// The machine gets another disk, an empty one, and a process on it.
    pub async fn wipe(&mut self) {
        self.crash().await;
        self.disk = MemoryStore::new();
        // One that does not start is started by whoever looks next.
        let _ = self.start().await;
    }

    /// The process ends as it should: what it was given is on disk, and the mark says so.
    pub async fn stop(&mut self) {
        self.feigned = self.set_back();
        let Some(mut running) = self.running.take() else { return };
        running.engine.drain().await;
        running.engine.close().await;
        self.net.unplug(self.machine);
        drop(running.alive);
        let pump = running.pump.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut pump) = pump {
            pump.close();
            while pump.write() {}
            pump.sync();
        }
        // A disk that fails now leaves an unclean stop behind.
        let _ = write_clean_mark(&self.disk);
    }
}

/// The commit thread's part: batch after batch, each with a sync that takes its time.
async fn turn(pump: SharedPump, committer: Committer, net: Net, chance: Chance, machine: usize) {
    let with = |act: fn(&mut Pump)| {
        let mut pump = pump.lock().unwrap_or_else(PoisonError::into_inner);
        pump.as_mut().map(act).is_some()
    };
    while committer.filled().await {
        while net.is_paused(machine) {
            sleep(Duration::from_millis(5)).await;
        }
        if !with(|pump| {
            pump.write();
        }) {
            return;
        }
        let longest = if net.is_slow(machine) { 250_000 } else { 4_000 };
        sleep(chance.micros(200, longest)).await;
        while net.is_paused(machine) {
            sleep(Duration::from_millis(5)).await;
        }
        if !with(Pump::sync) {
            return;
        }
    }
}
