//! What a person wants the cluster to be, and how that changes: scaled by any number, a member replaced, a member lost, all
//! of it thought better of at any moment.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dynamo_node::store::MemoryStore;
use dynamo_ring::{Fate, NodeId};
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use crate::run::Log;
use crate::world::{QUORUM, World};

/// How long a person waits for something that is to come first, before wanting something else.
const PATIENCE: Duration = Duration::from_secs(8);
/// How often a person looks.
const LOOK: Duration = Duration::from_millis(100);

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// So many machines, from the first.
    pub replicas: usize,
    /// But for this one, which is to get a new disk.
    pub without: Option<usize>,
    /// Nodes that a person says are lost with their disks.
    pub lost: BTreeSet<NodeId>,
}

impl Spec {
    /// The machines that are to be members.
    pub fn machines(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.replicas).filter(|machine| self.without != Some(*machine))
    }
}

/// The wishes as they are written down, old ones too: an operator may go by one that no longer stands. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Wishes(Arc<Mutex<Vec<Spec>>>);

impl Wishes {
    /// One that begins with so many machines.
    pub fn new(replicas: usize) -> Self {
        Self(Arc::new(Mutex::new(vec![Spec { replicas, without: None, lost: BTreeSet::new() }])))
    }

    fn all(&self) -> MutexGuard<'_, Vec<Spec>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was wanted so many wishes ago.
    pub fn ago(&self, back: usize) -> Spec {
        let all = self.all();
        all[all.len().saturating_sub(1 + back)].clone()
    }

    fn change(&self, with: impl FnOnce(&mut Spec)) {
        let mut next = self.ago(0);
        with(&mut next);
        self.all().push(next);
    }
}

/// A person who wants one thing after another.
pub(super) struct Person<'a> {
    pub(super) world: &'a World,
    pub(super) wishes: &'a Wishes,
    pub(super) chance: &'a Chance,
    pub(super) log: &'a Log,
    /// A member may be lost, once: of two that are lost at a time the copies may be all that there were.
    pub(super) may_lose: bool,
}

impl Person<'_> {
    /// Wants things for so long.
    pub(super) async fn want(mut self, long: Duration) {
        let until = Instant::now() + long;
        while Instant::now() < until {
            sleep(self.chance.micros(100_000, 4_000_000)).await;
            match self.chance.0.below(8) {
                0..=4 => self.scale(),
                5..=6 => self.replace().await,
                _ if self.may_lose => self.lose().await,
                _ => self.scale(),
            }
        }
        self.wishes.change(|spec| {
            spec.without = None;
            spec.lost.clear();
        });
    }

    fn scale(&self) {
        let least = usize::from(QUORUM.n);
        let replicas = least + self.chance.0.below(self.world.hosts.len() - least + 1);
        self.log.note(&format!("wanted: {replicas} machines"));
        self.wishes.change(|spec| spec.replicas = replicas);
    }

    /// A machine that lives leaves, and comes back with a new disk.
    async fn replace(&self) {
        let Some(machine) = self.chance.pick(&self.world.book.machines()) else { return };
        let Some(node) = self.node(machine) else { return };
        let least = (usize::from(QUORUM.n) + 1).max(machine + 1);
        self.log.note(&format!("wanted: a new disk for machine {machine}"));
        self.wishes.change(|spec| {
            spec.replicas = spec.replicas.max(least);
            spec.without = Some(machine);
        });
        if self.until(|| self.fate(&node) == Some(Fate::Retired)).await {
            self.world.tally.count("replaced: the old one has retired");
        }
        self.wishes.change(|spec| spec.without = None);
    }

    /// A machine's disk is gone. It comes back empty, or stays away until a person says so; or it comes back with the disk
    /// that everybody was told is lost.
    async fn lose(&mut self) {
        let Some(machine) = self.chance.pick(&self.world.book.machines()) else { return };
        let (Some(host), Some(node)) = (self.world.hosts.get(machine), self.node(machine)) else { return };
        let mut host = host.lock().await;
        if !host.present || host.node_id() != Some(node) {
            return;
        }
        self.may_lose = false;
        let step = self.world.book.phase();
        self.log.note(&format!("machine {machine} loses its disk, {step}"));
        self.world.tally.count(format!("lost {step}"));
        host.crash().await;
        let old = std::mem::replace(&mut host.disk, MemoryStore::new());
        if self.chance.one_in(2) {
            sleep(self.chance.micros(0, 2_000_000)).await;
            let _ = host.start().await;
            return;
        }
        // Nobody is there to say so but a person.
        self.wishes.change(|spec| spec.lost.extend([node]));
        let noted = self.until(|| self.fate(&node) == Some(Fate::Lost)).await;
        if noted && self.chance.one_in(2) {
            self.log.note(&format!("machine {machine} comes back with the disk that was lost"));
            self.world.tally.count("came back with the disk that was lost");
            host.disk = old;
            let _ = host.start().await;
            drop(host);
            sleep(self.chance.micros(500_000, 4_000_000)).await;
            let Some(host) = self.world.hosts.get(machine) else { return };
            host.lock().await.wipe().await;
            return;
        }
        let _ = host.start().await;
    }

    /// The node that a layout names on a machine.
    fn node(&self, machine: usize) -> Option<NodeId> {
        let record = self.world.book.latest().record;
        let name = format!("cart-{machine}");
        record.current().members().iter().find(|member| member.name == name).map(|member| member.node_id)
    }

    fn fate(&self, node: &NodeId) -> Option<Fate> {
        self.world.book.latest().record.fate(node)
    }

    /// Waits for something; not for ever.
    async fn until(&self, what: impl Fn() -> bool) -> bool {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if what() {
                return true;
            }
            sleep(LOOK).await;
        }
        false
    }
}
