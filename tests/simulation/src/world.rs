//! All machines, the layout that they go by, and what they hold at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dynamo_node::api::admin::AdminService;
use dynamo_node::api::kv::KvService;
use dynamo_node::clock::Clock;
use dynamo_node::engine::Settings;
use dynamo_node::merkle::MerkleHash;
use dynamo_node::reap::ReapSettings;
use dynamo_proto::v1::SetLayoutRequest;
use dynamo_proto::v1::admin_server::Admin;
use dynamo_ring::{ClusterId, Member, NodeId, Partitions, Quorum, Record, plan};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};
use tonic::Request;

use crate::book::Book;
use crate::chance::Chance;
use crate::host::Host;
use crate::net::{Net, name};
use crate::tally::Tally;

/// What an operator calls at a machine.
pub type Node = AdminService<Arc<dyn Clock>>;

/// The quorums of every simulated cluster.
pub const QUORUM: Quorum = Quorum { n: 3, r: 2, w: 2 };

const CLUSTER: ClusterId = ClusterId([7; 16]);
const PARTITIONS: u32 = 8;
/// How long the replicas have for becoming alike once everything has healed: many rounds of anti-entropy.
const HEAL: Duration = Duration::from_mins(2);

/// A service, and the news that its process has gone.
pub type Door = (KvService, watch::Receiver<()>);

/// All machines. Cheap to clone.
#[derive(Debug, Clone)]
pub struct World {
    /// The network between them.
    pub net: Net,
    /// The machines, each behind its own lock: a start or a stop of one holds up no other.
    pub hosts: Arc<Vec<Mutex<Host>>>,
    /// The layout record.
    pub book: Book,
    /// How often what happened.
    pub tally: Tally,
}

impl World {
    /// So many machines that run, of which the first `named` are formed and serve.
    ///
    /// # Errors
    /// When a cluster cannot even be formed: a fault of the simulation, in words.
    pub async fn form(machines: usize, named: usize, chance: &Chance) -> Result<Self, String> {
        let net = Net::new(chance.clone());
        let reap = ReapSettings { interval: Duration::from_millis(100), ..ReapSettings::default() };
        let settings =
            Settings { anti_entropy_interval: Duration::from_secs(1), reap, ..Settings::default() };
        let mut hosts = Vec::new();
        let mut members = Vec::new();
        for machine in 0..machines {
            let mut host = Host::new(machine, net.clone(), chance.clone(), settings);
            host.start().await?;
            let node_id = host.node_id().ok_or("a node without identity")?;
            if machine < named {
                members.push(member(machine, node_id));
            }
            hosts.push(Mutex::new(host));
        }
        let q = Partitions::new(PARTITIONS).map_err(|why| why.to_string())?;
        let layout = plan::first(&members, q, QUORUM.n, CLUSTER).map_err(|why| why.to_string())?;
        let record = Record::first(layout, QUORUM).map_err(|why| why.to_string())?;
        let world = Self { net, hosts: Arc::new(hosts), book: Book::new(record), tally: Tally::default() };
        world.tell(named).await?;
        Ok(world)
    }

    /// Tells every member the layout.
    async fn tell(&self, named: usize) -> Result<(), String> {
        let record = self.book.latest().record;
        for host in self.hosts.iter().take(named) {
            let host = host.lock().await;
            let engine = host.engine().ok_or("a node that does not run")?;
            let message = SetLayoutRequest { record: record.to_json().into(), ..Default::default() };
            engine.admin.set_layout(Request::new(message)).await.map_err(|why| why.to_string())?;
        }
        Ok(())
    }

    /// What clients call at a machine, if anything runs there that is not just being started or stopped.
    pub fn door(&self, machine: usize) -> Option<Door> {
        let host = self.hosts.get(machine)?.try_lock().ok()?;
        Some((host.engine()?.kv.clone(), host.gone()?))
    }

    /// What an operator calls at a machine; likewise.
    pub fn admin(&self, machine: usize) -> Option<(Node, watch::Receiver<()>)> {
        let host = self.hosts.get(machine)?.try_lock().ok()?;
        Some((host.engine()?.admin.clone(), host.gone()?))
    }

    /// A machine for a client to call: one of those that the layouts name, mostly.
    pub fn machine(&self, chance: &Chance) -> usize {
        let named = self.book.machines();
        if named.len() < self.hosts.len() && chance.one_in(12) {
            return chance.0.below(self.hosts.len());
        }
        chance.pick(&named).unwrap_or_default()
    }

    /// Waits until the replicas of each partition have one root and nobody owes anybody anything. What is not so in time.
    pub async fn heal(&self) -> Vec<String> {
        let until = Instant::now() + HEAL;
        loop {
            let apart = self.apart().await;
            if apart.is_empty() || Instant::now() > until {
                return apart;
            }
            sleep(Duration::from_millis(250)).await;
        }
    }

    async fn apart(&self) -> Vec<String> {
        let mut roots: BTreeMap<u16, Vec<(usize, MerkleHash)>> = BTreeMap::new();
        let mut apart = Vec::new();
        for host in self.hosts.iter() {
            let host = host.lock().await;
            if let Some(why) = host.set_back() {
                apart.push(format!("machine {}, which nobody set back: {why}", host.machine));
            }
            let Some(engine) = host.engine() else {
                if !host.present {
                    continue;
                }
                apart.push(format!("machine {} does not run", host.machine));
                continue;
            };
            match (engine.local.hint_counts(), engine.local.summaries()) {
                (Ok(hints), Ok(summaries)) => {
                    let owed: u64 = hints.iter().map(|count| count.hints).sum();
                    if owed > 0 {
                        apart.push(format!("machine {} still holds {owed} hints", host.machine));
                    }
                    for (partition, summary) in summaries.into_iter().filter(|(_, summary)| summary.held) {
                        roots.entry(partition.0).or_default().push((host.machine, summary.root));
                    }
                }
                (Err(why), _) | (_, Err(why)) => {
                    apart.push(format!("machine {} cannot be read: {why}", host.machine));
                }
            }
        }
        for (partition, roots) in roots {
            if roots.windows(2).any(|pair| pair[0].1 != pair[1].1) {
                apart.push(format!("the roots of partition {partition} differ: {roots:?}"));
            }
        }
        apart
    }
}

/// A machine as the layout names it.
pub(crate) fn member(machine: usize, node_id: NodeId) -> Member {
    Member {
        name: format!("cart-{machine}"),
        node_id,
        zone: String::new(),
        address: name(machine),
        weight: 1,
    }
}
