//! All machines, the layout that they go by, and what they hold at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dynamo_node::api::kv::KvService;
use dynamo_node::engine::Settings;
use dynamo_node::merkle::MerkleHash;
use dynamo_node::reap::ReapSettings;
use dynamo_node::store::Identity;
use dynamo_proto::v1::SetLayoutRequest;
use dynamo_proto::v1::admin_server::Admin;
use dynamo_ring::{ClusterId, Member, NodeId, Partitions, Quorum, Record, plan};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};
use tonic::Request;

use crate::chance::Chance;
use crate::host::Host;
use crate::net::{Net, name};

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
    record: Arc<Record>,
}

impl World {
    /// So many machines, formed and serving.
    ///
    /// # Errors
    /// When a cluster cannot even be formed: a fault of the simulation, in words.
    pub async fn form(machines: usize, chance: &Chance) -> Result<Self, String> {
        let net = Net::new(chance.clone());
        let reap = ReapSettings { interval: Duration::from_millis(100), ..ReapSettings::default() };
        let settings =
            Settings { anti_entropy_interval: Duration::from_secs(1), reap, ..Settings::default() };
        let mut hosts = Vec::new();
        let mut members = Vec::new();
        for machine in 0..machines {
            let mut host = Host::new(machine, net.clone(), chance.clone(), settings);
            host.start().await?;
            let identity = Identity::read(&host.disk).map_err(|why| why.to_string())?;
            let node_id = identity.ok_or("a node without identity")?.node_id;
            members.push(member(machine, node_id));
            hosts.push(Mutex::new(host));
        }
        let q = Partitions::new(PARTITIONS).map_err(|why| why.to_string())?;
        let layout = plan::first(&members, q, QUORUM.n, CLUSTER).map_err(|why| why.to_string())?;
        let record = Record::first(layout, QUORUM).map_err(|why| why.to_string())?;
        let world = Self { net, hosts: Arc::new(hosts), record: Arc::new(record) };
        world.tell().await?;
        Ok(world)
    }

    /// Tells every member the layout.
    async fn tell(&self) -> Result<(), String> {
        for host in self.hosts.iter() {
            let host = host.lock().await;
            let engine = host.engine().ok_or("a node that does not run")?;
            let message = SetLayoutRequest { record: self.record.to_json().into(), ..Default::default() };
            engine.admin.set_layout(Request::new(message)).await.map_err(|why| why.to_string())?;
        }
        Ok(())
    }

    /// What clients call at a machine, if anything runs there that is not just being started or stopped.
    pub fn door(&self, machine: usize) -> Option<Door> {
        let host = self.hosts.get(machine)?.try_lock().ok()?;
        Some((host.engine()?.kv.clone(), host.gone()?))
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

fn member(machine: usize, node_id: NodeId) -> Member {
    Member {
        name: format!("cart-{machine}"),
        node_id,
        zone: String::new(),
        address: name(machine),
        weight: 1,
    }
}
