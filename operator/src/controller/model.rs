//! A small model of Kubernetes, of members and of operators, for tests: everything that may happen to a cluster, in any
//! order, with a judge that sees what must never happen.

mod node;
mod operator;

use std::collections::BTreeMap;

use dynamo_ring::{ClusterId, Fate, LayoutHash, Member, NodeId, Quorum, Record, plan as placement};

pub(crate) use self::node::Node;
pub(crate) use self::operator::Operator;
use super::observed::{ClaimSeen, LayoutSeen, Observed, PodSeen, StatefulSetSeen, Version};
use super::plan::Step;
use super::validate::Desired;
use crate::build::statefulset::Claims;
use crate::testing::desired;

/// The cluster id of every test.
pub(crate) const CLUSTER: ClusterId = ClusterId([7; 16]);

/// A node id from a number.
pub(crate) fn node_id(number: u64) -> NodeId {
    NodeId(u128::from(number).to_be_bytes())
}

/// The members `cart-0` to `cart-(count - 1)`, node ids 1 to `count`.
pub(crate) fn members(count: u32) -> Vec<Member> {
    let names = desired(3).names;
    let member = |ordinal| Member {
        name: names.pod(ordinal),
        node_id: node_id(u64::from(ordinal) + 1),
        zone: String::new(),
        address: names.address(ordinal),
        weight: 1,
    };
    (0..count).map(member).collect()
}

/// A cluster of `count` members that has just been formed.
pub(crate) fn settled(count: u32) -> Record {
    let partitions = desired(3).partitions;
    let layout = placement::first(&members(count), partitions, 3, CLUSTER).unwrap();
    Record::first(layout, Quorum { n: 3, r: 2, w: 2 }).unwrap()
}

/// The same, on its way from `from` to `to` members.
pub(crate) fn proposed(from: u32, to: u32) -> Record {
    settled(from).propose(&members(to)).unwrap()
}

/// One Kubernetes namespace with one cluster in it.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// `spec.replicas` as the user has it now.
    pub(crate) replicas: u32,
    /// `spec.lostMembers`.
    pub(crate) lost: Vec<NodeId>,
    /// `spec.replaceMembers`.
    pub(crate) replaced: Vec<NodeId>,
    pub(crate) weights: BTreeMap<u32, u16>,
    pub(crate) statefulset: Option<StatefulSet>,
    pub(crate) layout: Option<(Version, Record)>,
    pub(crate) claims: BTreeMap<u32, Claim>,
    pub(crate) pods: BTreeMap<u32, Pod>,
    /// What must never happen, and did.
    pub(crate) violations: Vec<String>,
    epochs: BTreeMap<u64, LayoutHash>,
    counter: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct StatefulSet {
    pub(crate) version: Version,
    pub(crate) replicas: u32,
    pub(crate) epoch: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) version: Version,
    pub(crate) noted: Option<NodeId>,
    pub(crate) terminating: bool,
    /// What lies in the data directory.
    pub(crate) node: Option<Node>,
}

#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) uid: String,
    /// Its process runs and can be reached.
    pub(crate) up: bool,
    pub(crate) age_seconds: u64,
}

impl World {
    pub(crate) fn new(replicas: u32) -> Self {
        Self {
            replicas,
            lost: Vec::new(),
            replaced: Vec::new(),
            weights: BTreeMap::new(),
            statefulset: None,
            layout: None,
            claims: BTreeMap::new(),
            pods: BTreeMap::new(),
            violations: Vec::new(),
            epochs: BTreeMap::new(),
            counter: 0,
        }
    }

    /// A number never given out before, for uids, resource versions and node ids.
    fn fresh(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn made(&mut self) -> Version {
        Version { uid: format!("uid-{}", self.fresh()), resource_version: self.fresh().to_string() }
    }

    fn changed(&mut self, version: &Version) -> Version {
        Version { uid: version.uid.clone(), resource_version: self.fresh().to_string() }
    }

    /// The spec as the user has it now.
    pub(crate) fn desired(&self) -> Desired {
        let mut desired = desired(i32::try_from(self.replicas).unwrap());
        desired.lost = self.lost.iter().copied().collect();
        desired.replaced = self.replaced.iter().copied().collect();
        desired.weights.clone_from(&self.weights);
        desired
    }

    /// First part of an observation.
    pub(crate) fn read_statefulset(&self) -> Option<StatefulSetSeen> {
        self.statefulset.as_ref().map(|set| StatefulSetSeen {
            version: set.version.clone(),
            replicas: set.replicas,
            epoch: set.epoch,
            volume_size: Some("10Gi".into()),
            stale: false,
            terminating: false,
            update_revision: Some("1".into()),
        })
    }

    /// Second part: the other objects, without the members' answers.
    pub(crate) fn read_others(&self, statefulset: Option<StatefulSetSeen>) -> Observed {
        let layout = match &self.layout {
            None => LayoutSeen::Absent,
            Some((version, record)) => LayoutSeen::Present {
                record: Box::new(record.clone()),
                version: version.clone(),
                owned_as_wanted: true,
            },
        };
        let claim = |claim: &Claim| ClaimSeen {
            version: claim.version.clone(),
            node_id: claim.noted,
            terminating: claim.terminating,
            owned_as_wanted: true,
        };
        let pod = |ordinal: u32, pod: &Pod| PodSeen {
            uid: pod.uid.clone(),
            bound: true,
            ready: pod.up && self.node(ordinal).is_some_and(Node::serves),
            revision: Some("1".into()),
            age_seconds: pod.age_seconds,
            ..PodSeen::default()
        };
        Observed {
            statefulset,
            layout,
            pods: self.pods.iter().map(|(o, p)| (*o, pod(*o, p))).collect(),
            claims: self.claims.iter().map(|(o, c)| (*o, claim(c))).collect(),
            conflicts: Vec::new(),
        }
    }

    /// Third part: what the members answer now. Pods are dialled by name, so it is whoever bears it now.
    pub(crate) fn ask(&self, observed: &mut Observed) {
        for (ordinal, seen) in &mut observed.pods {
            let up = self.pods.get(ordinal).is_some_and(|pod| pod.up);
            seen.answer = up.then(|| self.node(*ordinal).map(Node::answer)).flatten();
        }
    }

    /// The three at once.
    pub(crate) fn observe(&self) -> Observed {
        let mut observed = self.read_others(self.read_statefulset());
        self.ask(&mut observed);
        observed
    }

    /// The member on the volume of this ordinal.
    pub(crate) fn node(&self, ordinal: u32) -> Option<&Node> {
        self.claims.get(&ordinal)?.node.as_ref()
    }

    fn node_mut(&mut self, ordinal: u32) -> Option<&mut Node> {
        self.claims.get_mut(&ordinal)?.node.as_mut()
    }

    /// Carries out one step, as the API server and the members would: it fails, and changes nothing, if what it was
    /// decided on has changed.
    pub(crate) fn carry_out(&mut self, step: Step) -> bool {
        match step {
            Step::CreateStatefulSet(claims) => {
                self.statefulset.is_none() && {
                    let version = self.made();
                    self.set(version, &claims);
                    true
                }
            }
            Step::ApplyStatefulSet { at, claims } => {
                let stands = self.statefulset.as_ref().is_some_and(|set| set.version == at);
                if stands {
                    let version = self.changed(&at);
                    self.judge_lowering(claims.replicas);
                    self.set(version, &claims);
                }
                stands
            }
            Step::CreateLayout(record) => {
                self.layout.is_none() && {
                    let version = self.made();
                    self.write_layout(version, *record);
                    true
                }
            }
            Step::ReplaceLayout { at, record } => {
                let stands = self.layout.as_ref().is_some_and(|(version, _)| *version == at);
                if stands {
                    let version = self.changed(&at);
                    self.write_layout(version, *record);
                }
                stands
            }
            Step::MarkVolume { ordinal, at, node_id } => {
                let version = self.changed(&at);
                let claim = self.claims.get_mut(&ordinal).filter(|claim| claim.version == at);
                claim.is_some_and(|claim| {
                    claim.version = version;
                    claim.noted = node_id.or(claim.noted);
                    true
                })
            }
            Step::Tell { record, members } => {
                for (ordinal, id) in members {
                    self.tell(ordinal, id, &record);
                }
                true
            }
            Step::Retire { ordinal, node_id, .. } => {
                let up = self.pods.get(&ordinal).is_some_and(|pod| pod.up);
                up && self.node_mut(ordinal).is_some_and(|node| node.retire(node_id))
            }
            Step::SetPace { ordinal, node_id, bytes_per_second } => {
                let up = self.pods.get(&ordinal).is_some_and(|pod| pod.up);
                let node = self.node_mut(ordinal).filter(|node| up && node.id == node_id);
                node.map(|node| node.bytes_per_second = bytes_per_second).is_some()
            }
            Step::DeleteVolume { ordinal, at } => {
                let stands = self.claims.get(&ordinal).is_some_and(|claim| claim.version == at);
                if stands {
                    self.judge_removal(ordinal, "its volume was deleted");
                    self.delete_claim(ordinal);
                }
                stands
            }
            Step::Restart { ordinal, uid, .. } => {
                let same = self.pods.get(&ordinal).is_some_and(|pod| pod.uid == uid);
                if same {
                    self.remove_pod(ordinal);
                }
                same
            }
        }
    }

    fn set(&mut self, version: Version, claims: &Claims) {
        self.statefulset = Some(StatefulSet { version, replicas: claims.replicas, epoch: claims.epoch });
    }

    fn write_layout(&mut self, version: Version, record: Record) {
        for layout in record.layouts() {
            let known = self.epochs.entry(layout.epoch()).or_insert(layout.id().hash);
            if *known != layout.id().hash {
                self.violations.push(format!("two layouts at epoch {}", layout.epoch()));
            }
        }
        self.layout = Some((version, record));
    }

    fn tell(&mut self, ordinal: u32, id: NodeId, record: &Record) {
        if self.pods.get(&ordinal).is_some_and(|pod| pod.up)
            && let Some(node) = self.node_mut(ordinal).filter(|node| node.id == id)
            && let Err(dynamo_ring::fence::Refusal::SecondHash { .. }) = node.take(record)
        {
            self.violations.push("a member was told two layouts of one epoch".into());
        }
    }

    fn judge_lowering(&mut self, replicas: u32) {
        let before = self.statefulset.as_ref().map_or(0, |set| set.replicas);
        for ordinal in replicas..before {
            self.judge_removal(ordinal, "its pod was removed");
        }
    }

    /// A member that was told of a layout that names it may hold data, until it has retired or stands as lost.
    fn judge_removal(&mut self, ordinal: u32, what: &str) {
        let Some(node) = self.node(ordinal) else { return };
        let fate = self.layout.as_ref().and_then(|(_, record)| record.fate(&node.id));
        if node.may_hold_data() && fate != Some(Fate::Lost) {
            let text = format!("cart-{ordinal} ({}) had not retired when {what}: {fate:?}", node.id);
            self.violations.push(text);
        }
    }

    /// The StatefulSet controller, the kubelet and the garbage collector, once round.
    pub(crate) fn settle_objects(&mut self) {
        let wanted = self.statefulset.as_ref().map_or(0, |set| set.replicas);
        let above: Vec<u32> = self.pods.keys().copied().filter(|o| *o >= wanted).collect();
        for ordinal in above {
            self.remove_pod(ordinal);
        }
        for ordinal in 0..wanted {
            if !self.pods.contains_key(&ordinal) {
                self.make_pod(ordinal);
            }
        }
    }

    fn make_pod(&mut self, ordinal: u32) {
        let version = self.made();
        self.claims.entry(ordinal).or_insert(Claim { version, noted: None, terminating: false, node: None });
        let uid = format!("pod-{}", self.fresh());
        self.pods.insert(ordinal, Pod { uid, up: false, age_seconds: 0 });
        self.start(ordinal);
    }

    /// The process starts: over an empty directory, or that of a retired member, it is a new member.
    pub(crate) fn start(&mut self, ordinal: u32) {
        let id = node_id(1_000 + self.fresh());
        let Some(pod) = self.pods.get_mut(&ordinal) else { return };
        pod.up = true;
        if let Some(claim) = self.claims.get_mut(&ordinal)
            && claim.node.as_ref().is_none_or(|node| node.retired)
        {
            claim.node = Some(Node::new(id));
        }
    }

    /// The process dies, or its machine is cut off.
    pub(crate) fn stop(&mut self, ordinal: u32) {
        if let Some(pod) = self.pods.get_mut(&ordinal) {
            pod.up = false;
        }
    }

    /// The pod goes; a claim that was only waiting for that goes with it.
    pub(crate) fn remove_pod(&mut self, ordinal: u32) {
        self.pods.remove(&ordinal);
        if self.claims.get(&ordinal).is_some_and(|claim| claim.terminating) {
            self.claims.remove(&ordinal);
        }
    }

    /// A claim in use stays until its pod is gone.
    pub(crate) fn delete_claim(&mut self, ordinal: u32) {
        if self.pods.contains_key(&ordinal) {
            if let Some(claim) = self.claims.get_mut(&ordinal) {
                claim.terminating = true;
            }
        } else {
            self.claims.remove(&ordinal);
        }
    }

    /// A person deletes the StatefulSet, and the garbage collector its pods.
    pub(crate) fn delete_statefulset(&mut self) {
        self.statefulset = None;
        let pods: Vec<u32> = self.pods.keys().copied().collect();
        for ordinal in pods {
            self.remove_pod(ordinal);
        }
    }

    /// A member gets on with its work: copies, hands over.
    pub(crate) fn work(&mut self, ordinal: u32) {
        let sources: Vec<Node> =
            self.pods.iter().filter(|(_, pod)| pod.up).filter_map(|(o, _)| self.node(*o).cloned()).collect();
        if self.pods.get(&ordinal).is_some_and(|pod| pod.up)
            && let Some(node) = self.node_mut(ordinal)
        {
            node.work(&sources);
        }
    }

    /// Time passes for pods.
    pub(crate) fn grow_old(&mut self) {
        for pod in self.pods.values_mut() {
            pod.age_seconds += 100;
        }
    }
}
