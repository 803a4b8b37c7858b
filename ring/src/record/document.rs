//! The record as it is written down, and the rules that it has to keep.

use serde::{Deserialize, Serialize};

use super::{Fate, Named, Quorum, Record, Step, Target};
use crate::{ClusterId, Layout, LayoutError, LayoutId, NodeId};

/// The version that this program writes. A reader that meets a later one stops: it would lose what it does not know.
pub(super) const VERSION: u32 = 1;

/// The fields in the order in which a person wants to read them: the long tables last.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    version: u32,
    cluster_id: ClusterId,
    quorum: Quorum,
    step: Step,
    highest_epoch: u64,
    named: Vec<Named>,
    stable: Layout,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Layout>,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a later program: update this one.
    #[error("the record has version {0}; this program knows version {VERSION}")]
    Version(u32),
    /// Not JSON, or not a record, or a layout in it is not whole.
    #[error("not a layout record: {0}")]
    Unreadable(String),
    /// One of the layouts belongs to another cluster.
    #[error("the record is of cluster {record}, but its layout {layout} of cluster {of}")]
    Cluster {
        /// What the record says.
        record: ClusterId,
        /// The layout.
        layout: LayoutId,
        /// What the layout says.
        of: ClusterId,
    },
    /// R and W must be in 1..=N, and N that of every layout.
    #[error("quorum n={n} r={r} w={w} does not fit a layout of {replicas} replicas", n = .quorum.n, r = .quorum.r, w = .quorum.w)]
    Quorum {
        /// As the record has it.
        quorum: Quorum,
        /// As the layout has it.
        replicas: u8,
    },
    /// Q is fixed for life.
    #[error("the layouts differ in their number of partitions")]
    Partitions,
    /// There is a target exactly while the step is not `Committed`.
    #[error("step {0:?} with a target missing or left over")]
    Step(Step),
    /// Only a committed change has one.
    #[error("step {0:?} with a previous layout")]
    Previous(Step),
    /// Epochs rise: previous, stable, target, and none is above the highest.
    #[error("the epochs do not rise")]
    Epochs,
    /// A node id has one name and one fate.
    #[error("node {0} is named twice, or not in the order of names")]
    NamedOrder(NodeId),
    /// Every member of a layout stands among the named, under the same name.
    #[error("member {0} of a layout is not among the named")]
    Unnamed(NodeId),
    /// A member that has retired refuses for ever to be named again.
    #[error("node {0} has retired, but a layout names it")]
    Retired(NodeId),
    /// One of the layouts is not whole.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

impl From<Record> for Document {
    fn from(record: Record) -> Self {
        Self {
            version: VERSION,
            cluster_id: record.cluster_id(),
            quorum: record.quorum,
            step: record.step,
            highest_epoch: record.highest_epoch,
            named: record.named,
            stable: record.stable,
            target: record.target,
            previous: record.previous,
        }
    }
}

impl TryFrom<Document> for Record {
    type Error = RecordError;

    fn try_from(d: Document) -> Result<Self, RecordError> {
        if d.version != VERSION {
            return Err(RecordError::Version(d.version));
        }
        let record = Self {
            quorum: d.quorum,
            step: d.step,
            highest_epoch: d.highest_epoch,
            named: d.named,
            stable: d.stable,
            target: d.target,
            previous: d.previous,
        };
        record.check_layouts(d.cluster_id)?;
        record.check_epochs()?;
        record.check_named()?;
        Ok(record)
    }
}

impl Record {
    fn check_layouts(&self, cluster_id: ClusterId) -> Result<(), RecordError> {
        for layout in self.layouts() {
            if layout.cluster_id() != cluster_id {
                return Err(RecordError::Cluster {
                    record: cluster_id,
                    layout: layout.id(),
                    of: layout.cluster_id(),
                });
            }
            if layout.partitions() != self.stable.partitions() {
                return Err(RecordError::Partitions);
            }
            self.quorum.check(layout.n())?;
        }
        Ok(())
    }

    fn check_epochs(&self) -> Result<(), RecordError> {
        if self.target.is_some() != (self.step != Step::Committed) {
            return Err(RecordError::Step(self.step));
        }
        if self.previous.is_some() && self.step != Step::Committed {
            return Err(RecordError::Previous(self.step));
        }
        let stable = self.stable.epoch();
        let before = self.previous.as_ref().is_none_or(|p| p.epoch() < stable);
        let after = self.target.as_ref().is_none_or(|t| {
            let replaced = t.replaces.is_none_or(|r| stable < r.epoch && r.epoch < t.layout.epoch());
            stable < t.layout.epoch() && replaced
        });
        if before && after && self.stamp().epoch <= self.highest_epoch {
            Ok(())
        } else {
            Err(RecordError::Epochs)
        }
    }

    /// A lost node may stand in a layout that was made before its loss was known; a retired one may not, since it
    /// retired only when none named it.
    pub(super) fn check_named(&self) -> Result<(), RecordError> {
        for pair in self.named.windows(2) {
            if (&pair[0].name, pair[0].node_id) >= (&pair[1].name, pair[1].node_id) {
                return Err(RecordError::NamedOrder(pair[1].node_id));
            }
        }
        let mut ids: Vec<_> = self.named.iter().map(|n| n.node_id).collect();
        ids.sort_unstable();
        if let Some(twice) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(RecordError::NamedOrder(twice[0]));
        }
        for member in self.layouts().flat_map(Layout::members) {
            match self.named.iter().find(|n| n.node_id == member.node_id && n.name == member.name) {
                None => return Err(RecordError::Unnamed(member.node_id)),
                Some(named) if named.fate == Fate::Retired => {
                    return Err(RecordError::Retired(member.node_id));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

impl Quorum {
    /// Whether it fits layouts of `replicas` replicas.
    pub(super) fn check(self, replicas: u8) -> Result<(), RecordError> {
        let Self { n, r, w } = self;
        if n == replicas && (1..=n).contains(&r) && (1..=n).contains(&w) {
            Ok(())
        } else {
            Err(RecordError::Quorum { quorum: self, replicas })
        }
    }
}
