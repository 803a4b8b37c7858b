//! What to do next: a pure function from what was found and what is desired.
//!
//! Five lanes decide apart from each other, so that one that waits holds up no other (lesson 12 of operators):
//!
//! | lane | what it decides |
//! |---|---|
//! | [`paces`] | how fast members may move data |
//! | [`replicas`] | how many pods the StatefulSet wants |
//! | [`layout`] | the next write of the layout record, and whom to tell |
//! | [`volumes`] | which volume may go |
//! | [`restarts`] | which pod is made anew |
//!
//! Each step carries the version of what it changes. So a plan that was made long ago, or by another operator, changes
//! nothing that has changed since; every invariant is kept by single steps, in whatever order they are carried out.

pub mod layout;
pub mod members;
pub mod paces;
pub mod replicas;
pub mod restarts;
pub mod volumes;

use std::fmt;

use dynamo_ring::change::Waiting;
use dynamo_ring::{ClusterId, NodeId, Record};

use super::observed::{LayoutSeen, Observed, Version};
use super::validate::Desired;
use crate::build::statefulset::Claims;

/// A change of the world. None is carried out unless the state that it was decided on still stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make the StatefulSet. Fails if there is one.
    CreateStatefulSet(Claims),
    /// Apply the StatefulSet. Fails if it is not at this version any more.
    ApplyStatefulSet {
        /// What was read, before the members were asked.
        at: Version,
        /// Replicas, epoch, size of volumes.
        claims: Claims,
    },
    /// Make the first layout record. Fails if there is one.
    CreateLayout(Box<Record>),
    /// Replace the layout record. Fails if it is not at this version any more.
    ReplaceLayout {
        /// What was read.
        at: Version,
        /// What it says from now on.
        record: Box<Record>,
    },
    /// Note on a volume claim whose data may lie in it, and whether it goes with the resource. Fails if it is not at
    /// this version any more.
    MarkVolume {
        /// Whose.
        ordinal: u32,
        /// What was read.
        at: Version,
        /// Noted from now on; what stands stays if there is none.
        node_id: Option<NodeId>,
    },
    /// Send the layout record to these members.
    Tell {
        /// As it stands in the ConfigMap.
        record: Box<Record>,
        /// Their ordinals, and who is meant: another member behind the same name refuses.
        members: Vec<(u32, NodeId)>,
    },
    /// Ask a member to leave for good.
    Retire {
        /// Its ordinal.
        ordinal: u32,
        /// Of its data directory.
        cluster_id: ClusterId,
        /// Who is meant: another member behind the same name refuses.
        node_id: NodeId,
    },
    /// Tell a member how fast it may move data, while it runs.
    SetPace {
        /// Its ordinal.
        ordinal: u32,
        /// Who is meant: another member behind the same name refuses.
        node_id: NodeId,
        /// 0 is no limit.
        bytes_per_second: u64,
    },
    /// Delete a volume claim. Fails if it is not at this version any more.
    DeleteVolume {
        /// Whose.
        ordinal: u32,
        /// What was read.
        at: Version,
    },
    /// Evict a pod, so that it is made anew on the same volume. Fails if it is another pod already.
    Restart {
        /// Whose.
        ordinal: u32,
        /// Of the pod.
        uid: String,
        /// For a person.
        why: Why,
    },
}

/// Why a pod is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Image or settings have changed.
    Template,
    /// Its member has retired, and a new one is wanted in its place.
    Retired,
    /// Its volume is being deleted, and holds nothing.
    Volume,
}

/// What is being waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// Objects of a name that is wanted belong to someone else.
    NameConflict(Vec<String>),
    /// The ConfigMap of the layout record cannot be worked with.
    LayoutUnusable(String),
    /// There is no layout record, but these pods have data of a cluster.
    LayoutMissing(Vec<String>),
    /// These pods are wanted and do not answer.
    NotUp(Vec<String>),
    /// The change of layout waits.
    Change(Waiting),
    /// A person says that these are lost, but they answer.
    LostStillAnswer(Vec<NodeId>),
    /// These pods have a volume with data that no layout of this cluster knows.
    UnknownData(Vec<String>),
    /// Fewer members are up than each partition needs.
    TooFewMembers {
        /// That are up.
        up: usize,
        /// Replicas of each partition.
        n: u8,
    },
    /// The record cannot be taken further. This is a fault, and a person has to look.
    Refused(String),
    /// The StatefulSet is being deleted; it is made again when it has gone.
    StatefulSetGoing,
    /// Members are restarted; those still to come.
    Restarting(usize),
    /// Volumes cannot grow yet: as they are, and as the spec has them.
    VolumeSize(String, String),
}

/// What one pass does, and what it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// To be carried out, each by itself, in this order.
    pub steps: Vec<Step>,
    /// For the status.
    pub waits: Vec<Wait>,
}

impl Plan {
    /// Adds what another lane has decided.
    fn and(mut self, lane: Self) -> Self {
        self.steps.extend(lane.steps);
        self.waits.extend(lane.waits);
        self
    }

    fn step(step: Step) -> Self {
        Self { steps: vec![step], waits: Vec::new() }
    }

    fn wait(wait: Wait) -> Self {
        Self { steps: Vec::new(), waits: vec![wait] }
    }
}

/// What to do next.
pub fn plan(observed: &Observed, desired: &Desired, seed: &layout::Seed) -> Plan {
    if !observed.conflicts.is_empty() {
        return Plan::wait(Wait::NameConflict(observed.conflicts.clone()));
    }
    if let LayoutSeen::Unusable(why) = &observed.layout {
        // What must not be removed stands in that document: nothing is touched without it.
        return Plan::wait(Wait::LayoutUnusable(why.clone()));
    }
    // First: who is new is told before there is anything to move.
    paces::plan(observed, desired)
        .and(replicas::plan(observed, desired))
        .and(layout::plan(observed, desired, seed))
        .and(volumes::plan(observed, desired))
        .and(restarts::plan(observed, desired))
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameConflict(objects) => write!(
                f,
                "{} belong to someone else: rename this resource, or remove them if nobody needs them",
                objects.join(", ")
            ),
            Self::LayoutUnusable(why) => {
                write!(
                    f,
                    "the ConfigMap of the layout cannot be used: {why}; restore it, nothing is done before"
                )
            }
            Self::LayoutMissing(pods) => write!(
                f,
                "there is no layout record, but {} have data of a cluster: restore the ConfigMap from a backup or \
                 from the newest record of a member (`dynamoctl ring show`), or remove the volumes",
                pods.join(", ")
            ),
            Self::NotUp(pods) => write!(f, "no answer yet from {}", pods.join(", ")),
            Self::Change(waiting) => waiting.fmt(f),
            Self::LostStillAnswer(ids) => write!(
                f,
                "spec.lostMembers names {}, which answers: it is no lost member; take it out of the list",
                text(ids)
            ),
            Self::UnknownData(pods) => write!(
                f,
                "the volumes of {} have data that no layout of this cluster knows: remove their claims, or find out \
                 whose they are",
                pods.join(", ")
            ),
            Self::TooFewMembers { up, n } => {
                write!(
                    f,
                    "{up} members are up, but each partition needs {n}: nothing is moved before they are"
                )
            }
            Self::Refused(why) => write!(f, "the layout record cannot be taken further: {why}"),
            Self::StatefulSetGoing => {
                f.write_str("the StatefulSet is being deleted: it is made again when it has gone")
            }
            Self::Restarting(left) => write!(f, "{left} members are still to be restarted"),
            Self::VolumeSize(now, wanted) => write!(
                f,
                "spec.storage.size is {wanted}, but volumes were made with {now} and are not grown by this version: \
                 grow the claims by hand, or add members"
            ),
        }
    }
}

fn text(ids: &[NodeId]) -> String {
    ids.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
