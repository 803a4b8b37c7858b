//! The layout record: the one document that says which layout serves, which one the cluster is moving to, and how far
//! that has come.
//!
//! It stands in the ConfigMap `<name>-layout`, on every member's disk, and is what nodes are sent. A transition is a
//! function from one record to the next; whoever calls it writes the result by compare-and-swap *before* telling
//! anyone, so that each proposal, a replacement or an abort too, takes an epoch of its own, however many
//! controllers there are.
//!
//! ```text
//!            propose                 freeze            switch             commit               settle
//!  settled ----------> Proposed(T) --------> Frozen(T) -----> Switched(T) -----> Committed(T), ------> settled
//!                       |      ^                                                 previous = S
//!                       +------+ propose: T' replaces T
//! ```

mod document;
mod json;
mod refusal;
mod transition;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::document::RecordError;
pub use self::refusal::TransitionRefused;
use crate::{ClusterId, Layout, LayoutId, NodeId};

/// How many replicas there are, and how many answers a request needs by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// Replicas of each partition.
    pub n: u8,
    /// Answers that make a read.
    pub r: u8,
    /// Durable copies that make a write.
    pub w: u8,
}

/// How far the change to the target has come. Each step is acknowledged by every member before the next is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Step {
    /// Writes meet their quorum in S and in T, reads use S; T's members copy. T may still be replaced.
    Proposed,
    /// Every member has promised to take no other target.
    Frozen,
    /// Reads use T; writes still meet both.
    Switched,
    /// S is what was T, and serves alone.
    Committed,
}

/// What has become of a node that a layout once named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fate {
    /// It may hold data: its pod and its volume stay.
    Active,
    /// It has said durably that it holds nothing and never will.
    Retired,
    /// Its volume is proven gone. Its node id is barred for ever.
    Lost,
}

/// A node that a layout, of whatever epoch, has named. Nothing is ever removed from this list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Of the pod.
    pub name: String,
    /// Of its data directory.
    pub node_id: NodeId,
    /// Moves from `Active` to one of the others, once.
    pub fate: Fate,
}

/// The layout that the cluster is moving to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// T.
    pub layout: Layout,
    /// The abandoned target that this one directly replaces. What a member copied for that one stays, where this
    /// one gives it the same partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<LayoutId>,
}

/// How far a record is: what every request between nodes carries. Stamps order the records of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// Of the target while there is one, else of the stable layout.
    pub epoch: u64,
    /// Within that epoch.
    pub step: Step,
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.step, self.epoch)
    }
}

/// The layout record. A value of this type keeps every rule that [`RecordError`] lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "document::Document", into = "document::Document")]
pub struct Record {
    quorum: Quorum,
    step: Step,
    highest_epoch: u64,
    named: Vec<Named>,
    stable: Layout,
    target: Option<Target>,
    previous: Option<Layout>,
}

impl Record {
    /// The cluster it belongs to.
    pub const fn cluster_id(&self) -> ClusterId {
        self.stable.cluster_id()
    }

    /// N, R and W as the spec has them.
    pub const fn quorum(&self) -> Quorum {
        self.quorum
    }

    /// S: the layout that serves.
    pub const fn stable(&self) -> &Layout {
        &self.stable
    }

    /// T and what it replaces, while there is one.
    pub const fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    /// The S that was replaced: from the commit until every member has handed over.
    pub const fn previous(&self) -> Option<&Layout> {
        self.previous.as_ref()
    }

    /// How far the change has come; `Committed` when there is none.
    pub const fn step(&self) -> Step {
        self.step
    }

    /// Every node that any layout has named, sorted by name and node id.
    pub fn named(&self) -> &[Named] {
        &self.named
    }

    /// The highest epoch ever given out.
    pub const fn highest_epoch(&self) -> u64 {
        self.highest_epoch
    }

    /// What has become of `node_id`; nothing if no layout ever named it.
    pub fn fate(&self, node_id: &NodeId) -> Option<Fate> {
        self.named.iter().find(|n| n.node_id == *node_id).map(|n| n.fate)
    }

    /// The node ids that are barred for ever. A member that stores this record bars them from then on.
    pub fn lost_ids(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.named.iter().filter(|n| n.fate == Fate::Lost).map(|n| n.node_id)
    }

    /// Whether no change is under way: the next target may be proposed.
    pub fn settled(&self) -> bool {
        self.step == Step::Committed && self.previous.is_none()
    }

    /// The layout whose step this is: the target while there is one, else the stable layout.
    pub const fn current(&self) -> &Layout {
        match &self.target {
            Some(target) => &target.layout,
            None => &self.stable,
        }
    }

    /// The name of [`current`](Self::current).
    pub const fn id(&self) -> LayoutId {
        self.current().id()
    }

    /// How far this record is.
    pub const fn stamp(&self) -> Stamp {
        Stamp { epoch: self.current().epoch(), step: self.step }
    }

    /// The layouts in it: S, T, and the previous one.
    pub fn layouts(&self) -> impl Iterator<Item = &Layout> {
        std::iter::once(&self.stable).chain(self.target.as_ref().map(|t| &t.layout)).chain(&self.previous)
    }
}

#[cfg(test)]
pub(crate) mod tests;
