//! A cluster in one process: real nodes, commit threads and workers, over disks in memory and a network of direct calls
//! that can be cut. Changes of layout are driven as the operator drives them.

#![allow(dead_code, reason = "not every test uses everything")]

pub(crate) mod driver;
pub(crate) mod network;
pub(crate) mod node;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dynamo_node::coordinate::{CoordinateError, Coordinator, ReadOrder, Terms, WriteOrder};
use dynamo_node::limits::Gate;
use dynamo_node::merkle::MerkleHash;
use dynamo_node::version::VersionVector;
use dynamo_ring::{ClusterId, Member, NodeId, Partition, Partitions, Position, Quorum, Record, plan};
use tokio::time::Instant;

pub(crate) use network::Switchboard;
pub(crate) use node::{Disk, Running, Settings};

pub(crate) const QUORUM: Quorum = Quorum { n: 3, r: 2, w: 2 };
pub(crate) const CLUSTER: ClusterId = ClusterId([7; 16]);

/// Nodes, on or off, and the record as the operator has written it.
pub(crate) struct Cluster {
    pub(crate) board: Arc<Switchboard>,
    pub(crate) disks: BTreeMap<NodeId, Disk>,
    pub(crate) record: Record,
    pub(crate) settings: Settings,
}

pub(crate) fn node_id(i: u8) -> NodeId {
    NodeId([i + 1; 16])
}

pub(crate) fn member(i: u8) -> Member {
    Member {
        name: format!("cart-{i}"),
        node_id: node_id(i),
        zone: String::new(),
        address: format!("cart-{i}:7070"),
        weight: 1,
    }
}

pub(crate) fn members(range: std::ops::Range<u8>) -> Vec<Member> {
    range.map(member).collect()
}

impl Cluster {
    /// So many members, formed and serving.
    pub(crate) async fn form(count: u8, settings: Settings) -> Self {
        let layout = plan::first(&members(0..count), Partitions::new(16).unwrap(), 3, CLUSTER).unwrap();
        let record = Record::first(layout, QUORUM).unwrap();
        let mut cluster = Self { board: Arc::default(), disks: BTreeMap::new(), record, settings };
        for i in 0..count {
            cluster.start(i);
        }
        cluster.settle().await;
        cluster
    }

    /// Starts a node over its disk, which is new if there is none.
    pub(crate) fn start(&mut self, i: u8) {
        let disk = self.disks.entry(node_id(i)).or_insert_with(|| Disk::new(node_id(i))).clone();
        let running = Running::start(&self.board, &disk, format!("cart-{i}"), &self.settings);
        self.board.plug(node_id(i), Arc::new(running));
    }

    /// Ends a node's process: its tasks are cut off wherever they are, and what its disk has not synced is gone.
    pub(crate) async fn kill(&mut self, i: u8) {
        let running = self.board.unplug(node_id(i)).expect("it runs");
        running.kill(&self.disks[&node_id(i)]).await;
    }

    pub(crate) fn node(&self, i: u8) -> Arc<Running> {
        self.board.get(node_id(i)).expect("it runs")
    }
}

/// Writes a key through any node that will have it, until it is acknowledged.
pub(crate) async fn put(board: &Switchboard, key: &str, value: &[u8]) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        for (coordinator, gate) in coordinators(board, key) {
            let order = WriteOrder {
                key: Bytes::copy_from_slice(key.as_bytes()),
                context: VersionVector::new(),
                value: Some(Bytes::copy_from_slice(value)),
                ttl_ms: None,
                write_id: None,
                terms: match terms(&gate) {
                    Some(terms) => terms,
                    None => continue,
                },
            };
            match coordinator.write(order).await {
                Ok(_) => return,
                Err(why) => assert!(Instant::now() < until, "{key} is not taken: {why}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reads a key through a node that serves it: the values that stand.
pub(crate) async fn get(board: &Switchboard, key: &str) -> Vec<Bytes> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        for (coordinator, gate) in coordinators(board, key) {
            let Some(terms) = terms(&gate) else { continue };
            let order = ReadOrder {
                key: Bytes::copy_from_slice(key.as_bytes()),
                allow_partial: false,
                at_least: VersionVector::new(),
                terms,
            };
            match coordinator.read(order).await {
                Ok(answer) => return answer.state.values().cloned().collect(),
                Err(CoordinateError::NotServing) => {}
                Err(why) => assert!(Instant::now() < until, "{key:?} cannot be read: {why}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Those of the members that go by a layout that gives them the key; without the processes they belong to, so that a
/// node can be killed under a request.
fn coordinators(board: &Switchboard, key: &str) -> Vec<(Coordinator, Gate)> {
    let position = Position::of(key.as_bytes());
    let holds = |node: &Arc<Running>| {
        let standing = node.layouts.current()?;
        let partition = position.partition(standing.record.stable().partitions());
        let holds = standing.view().holds(&standing.me, partition);
        holds.then(|| (node.coordinator.clone(), node.gate.clone()))
    };
    board.running().iter().filter_map(holds).collect()
}

/// Nothing while the node has as much under way as it takes.
fn terms(gate: &Gate) -> Option<Terms> {
    let pass = gate.enter(1).ok()?;
    let until = Instant::now() + Duration::from_secs(10);
    Some(Terms { quorum: None, strict: true, forwarded: false, until, pass })
}

impl Cluster {
    /// Waits until all holders of each partition have the same root, and nothing else is held anywhere.
    pub(crate) async fn expect_equal_roots(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            match self.difference() {
                None => return,
                Some(what) => assert!(Instant::now() < until, "{what}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn difference(&self) -> Option<String> {
        let stable = self.record.stable();
        for partition in stable.partitions().iter() {
            let mut roots: Vec<(NodeId, MerkleHash)> = Vec::new();
            for node in self.board.running() {
                let id = node.layouts.my_id();
                let summary = node.local.summary(partition).unwrap();
                if summary.held != stable.holds(&id, partition) {
                    return Some(format!("{id} holds partition {partition}: {}", summary.held));
                }
                if !summary.held && summary.keys > 0 {
                    return Some(format!("{id} keeps {} keys of partition {partition}", summary.keys));
                }
                roots.extend(summary.held.then_some((id, summary.root)));
            }
            if roots.windows(2).any(|pair| pair[0].1 != pair[1].1) {
                return Some(format!("roots of partition {partition} differ: {roots:?}"));
            }
        }
        None
    }

    /// Every partition's keys at one of its holders, together.
    pub(crate) fn keys(&self) -> u64 {
        let stable = self.record.stable();
        let keys = |p: Partition| {
            let owner = stable.owner(p).map(|member| member.node_id);
            let node = owner.and_then(|id| self.board.get(id));
            node.map_or(0, |node| node.local.summary(p).unwrap().keys)
        };
        stable.partitions().iter().map(keys).sum()
    }
}
