use super::{Fate, Step};
use crate::{NodeId, PlanError};

use super::RecordError;

/// Why a transition cannot be made from this record. None of these is cured by trying again on the same record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransitionRefused {
    /// The change under way ends first: its members have promised, or have not all handed over.
    #[error("a change of layout is in step {0:?} and ends first")]
    ChangeUnderWay(Step),
    /// The transition belongs to another step.
    #[error("this needs step {needed:?}, but the record is in step {step:?}")]
    WrongStep {
        /// Where the record is.
        step: Step,
        /// Where it would have to be.
        needed: Step,
    },
    /// The members are those of the layout that stands already.
    #[error("the layout already has exactly these members")]
    Unchanged,
    /// A node that has retired or is lost is never named again.
    #[error("node {node_id} is {fate:?} and cannot be named")]
    Barred {
        /// The node.
        node_id: NodeId,
        /// What became of it.
        fate: Fate,
    },
    /// No layout ever named it, so there is nothing to note.
    #[error("node {0} was never named")]
    NeverNamed(NodeId),
    /// It may hold data as long as a layout names it.
    #[error("node {0} is still named by a layout")]
    StillNamed(NodeId),
    /// No layout can be made of these members.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The result would break a rule.
    #[error(transparent)]
    Record(#[from] RecordError),
}
