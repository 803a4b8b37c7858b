//! What was found: facts about objects, pods and members, read afresh for each pass and never kept.
//!
//! The order of reading is part of the proof (`docs/operator.md`, "Two writers"): first the StatefulSet, then the layout
//! record and the volume claims, then the members. Each write carries the version that was read here.

use std::collections::BTreeMap;

use dynamo_ring::change::MemberReport;
use dynamo_ring::{ClusterId, NodeId, Record};

/// Which state of which object was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version {
    /// Of the object: one of the same name that was made later has another.
    pub uid: String,
    /// Of its state.
    pub resource_version: String,
}

/// Everything that one pass goes by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// The pods' controller; nothing if there is none.
    pub statefulset: Option<StatefulSetSeen>,
    /// The layout record.
    pub layout: LayoutSeen,
    /// Pods by ordinal.
    pub pods: BTreeMap<u32, PodSeen>,
    /// Volume claims by ordinal.
    pub claims: BTreeMap<u32, ClaimSeen>,
    /// Objects of a name that is wanted which belong to someone else, as `kind/name`.
    pub conflicts: Vec<String>,
}

/// The StatefulSet as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatefulSetSeen {
    /// What was read.
    pub version: Version,
    /// Pods that it wants.
    pub replicas: u32,
    /// The highest epoch whose members may have been told.
    pub epoch: u64,
    /// Size that it gives to new volumes.
    pub volume_size: Option<String>,
    /// It differs from what would be applied, replicas and epoch apart.
    pub stale: bool,
    /// It is being deleted.
    pub terminating: bool,
    /// What new pods are made from; nothing while the StatefulSet controller has not seen the last change.
    pub update_revision: Option<String>,
}

/// The layout record as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LayoutSeen {
    /// There is no ConfigMap of that name.
    #[default]
    Absent,
    /// There is one.
    Present {
        /// What it says.
        record: Box<Record>,
        /// What was read.
        version: Version,
        /// It goes with the resource, or stays, as the spec says.
        owned_as_wanted: bool,
    },
    /// There is one that cannot be worked with, and why.
    Unusable(String),
}

impl LayoutSeen {
    /// The record, if there is one.
    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Present { record, .. } => Some(record),
            Self::Absent | Self::Unusable(_) => None,
        }
    }
}

/// A pod as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodSeen {
    /// Of the pod: the next of its name has another.
    pub uid: String,
    /// The scheduler has found a place for it.
    pub bound: bool,
    /// Of its Kubernetes node; empty if that has none.
    pub zone: String,
    /// Its readiness probe succeeds.
    pub ready: bool,
    /// It is being deleted.
    pub terminating: bool,
    /// What it was made from.
    pub revision: Option<String>,
    /// Since it was made.
    pub age_seconds: u64,
    /// What its member said; nothing if it could not be asked.
    pub answer: Option<Answer>,
}

/// What a member said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the change of layout goes by; its node id is that of the one who answered.
    pub report: MemberReport,
    /// Of its data directory; nothing before the first layout.
    pub cluster_id: Option<ClusterId>,
    /// It has stored a layout record.
    pub has_record: bool,
    /// That record shows no change that is still to end. (No stamp shows it: settling moves none.)
    pub settled: bool,
    /// It has stored a key or a hint.
    pub has_data: bool,
    /// How its copying goes.
    pub progress: Option<Progress>,
    /// How fast that may be, and all else behind requests; 0 is no limit.
    pub background_bytes_per_second: u64,
}

impl Answer {
    /// Of the data directory.
    pub const fn node_id(&self) -> NodeId {
        self.report.node_id
    }

    /// No layout, no data: what the first layout asks for.
    pub const fn blank(&self) -> bool {
        !self.has_record && !self.has_data && self.cluster_id.is_none()
    }
}

/// How far one member has come with what the target gives it. Of a target whose epoch this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The target's.
    pub epoch: u64,
    /// Partitions to get.
    pub partitions_wanted: u32,
    /// Partitions proven to have arrived.
    pub partitions_synced: u32,
    /// Stored bytes to get.
    pub bytes_wanted: u64,
    /// Entry bytes pulled.
    pub bytes_pulled: u64,
    /// Entry bytes that the comparison fetched.
    pub bytes_compared: u64,
    /// Partitions whose size is a guess in `bytes_wanted`; nothing is known if it is all of them.
    pub partitions_unsized: u32,
    /// Until its pulls end, at its present rate; nothing if it cannot tell.
    pub left_ms: Option<u64>,
}

/// A volume claim as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimSeen {
    /// What was read.
    pub version: Version,
    /// Whose data may lie in it: the last member on it that was told of a layout that names it.
    pub node_id: Option<NodeId>,
    /// It is being deleted.
    pub terminating: bool,
    /// It goes with the resource, or stays, as the spec says.
    pub owned_as_wanted: bool,
}
