//! Whose requests, and which records, a member accepts.
//!
//! Two rules carry the whole change of layout. A member serves a coordinator only if that one is at most one step
//! behind it, so that two quorums that are formed at the same time always lie within two neighbouring steps. And a
//! member that has promised a target takes no other one until that target is committed.

use std::fmt;

use crate::{ClusterId, Fate, LayoutId, NodeId, Record, Stamp, Step};

/// What a request between nodes says of its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SenderStamp {
    /// How far the sender's record is.
    pub stamp: Stamp,
    /// The layout that the stamp speaks of.
    pub id: LayoutId,
}

/// What a member does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Serve it.
    Accept,
    /// Refuse, and send the own record: the sender retries under it.
    SenderIsOld,
    /// Fetch the sender's record and take it, then judge again.
    IAmOld,
    /// Refuse: there are two layouts of one epoch, which only a fault can make.
    Conflict,
}

/// What taking a record changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Take {
    /// Store it durably, then act on it, then acknowledge.
    New,
    /// It is what stands already: acknowledge.
    Same,
}

/// Why a record is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It belongs to another cluster: a volume or an address is mixed up.
    #[error("the record is of cluster {offered}, this member of {mine}")]
    OtherCluster {
        /// This member's.
        mine: ClusterId,
        /// The record's.
        offered: ClusterId,
    },
    /// This member is to hold nothing any more. Its pod begins anew, with an empty directory.
    #[error("the record says that this member is {0:?}")]
    Barred(Fate),
    /// What stands is further.
    #[error("the record is at {offered}, this member at {mine}")]
    Old {
        /// This member's.
        mine: Stamp,
        /// The record's.
        offered: Stamp,
    },
    /// Two layouts at one epoch. A person has to look.
    #[error("a second layout {offered} at the epoch of {mine}")]
    SecondHash {
        /// What this member knows.
        mine: LayoutId,
        /// What the record says.
        offered: LayoutId,
    },
    /// A promise stands, and the record does not show that it was kept.
    #[error("this member has promised {promised}, and the record is about {offered}")]
    Promised {
        /// The target that was promised.
        promised: LayoutId,
        /// What the record is about.
        offered: LayoutId,
    },
    /// It knows less of what became of a node than this member does. A fate is never taken back.
    #[error("the record does not know that node {0} is gone")]
    Forgets(NodeId),
}

impl SenderStamp {
    /// What a member with this record says of itself.
    pub const fn of(record: &Record) -> Self {
        Self { stamp: record.stamp(), id: record.id() }
    }
}

impl fmt::Display for SenderStamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.stamp.step, self.id)
    }
}

/// The stamp exactly one step before that of `record`: the oldest that its bearer serves.
pub fn one_before(record: &Record) -> SenderStamp {
    let (step, id) = match record.step() {
        // The change began from S, whatever targets were abandoned since.
        Step::Proposed => (Step::Committed, record.stable().id()),
        Step::Frozen => (Step::Proposed, record.id()),
        Step::Switched => (Step::Frozen, record.id()),
        Step::Committed => (Step::Switched, record.id()),
    };
    SenderStamp { stamp: Stamp { epoch: id.epoch, step }, id }
}

/// Whether a request of this sender is served.
pub fn judge(mine: &Record, sender: SenderStamp) -> Verdict {
    let SenderStamp { stamp, id } = sender;
    let second_hash = known_ids(mine).any(|known| known.epoch == id.epoch && known != id);
    if second_hash || stamp.epoch != id.epoch {
        Verdict::Conflict
    } else if stamp > mine.stamp() {
        Verdict::IAmOld
    } else if sender == SenderStamp::of(mine) || sender == one_before(mine) {
        Verdict::Accept
    } else {
        // A target that was replaced is among these: its epoch lies between S and T.
        Verdict::SenderIsOld
    }
}

/// Whether a member that has `mine` takes `offered`.
///
/// Besides this, a member that has retired refuses every record; that is a fact of its own disk.
pub fn may_take(mine: Option<&Record>, offered: &Record, me: NodeId) -> Result<Take, Refusal> {
    if let Some(fate @ (Fate::Retired | Fate::Lost)) = offered.fate(&me) {
        return Err(Refusal::Barred(fate));
    }
    let Some(mine) = mine else { return Ok(Take::New) };
    if mine == offered {
        return Ok(Take::Same);
    }
    if mine.cluster_id() != offered.cluster_id() {
        return Err(Refusal::OtherCluster { mine: mine.cluster_id(), offered: offered.cluster_id() });
    }
    for known in known_ids(mine) {
        if let Some(second) = known_ids(offered).find(|id| id.epoch == known.epoch && *id != known) {
            return Err(Refusal::SecondHash { mine: known, offered: second });
        }
    }
    let old = Refusal::Old { mine: mine.stamp(), offered: offered.stamp() };
    // A record whose S is before ours has branched off from a copy that was stale.
    if offered.stamp() < mine.stamp() || offered.stable().epoch() < mine.stable().epoch() {
        return Err(old);
    }
    if offered.stamp() == mine.stamp() && mine.previous().is_none() && offered.previous().is_some() {
        return Err(old);
    }
    keeps_promise(mine, offered)?;
    remembers_fates(mine, offered)?;
    Ok(Take::New)
}

/// From the freeze on, only what shows the promised target is taken: as T, as S, or as the S before S.
fn keeps_promise(mine: &Record, offered: &Record) -> Result<(), Refusal> {
    let promised = match mine.step() {
        Step::Proposed | Step::Committed => return Ok(()),
        Step::Frozen | Step::Switched => mine.id(),
    };
    if offered.layouts().any(|layout| layout.id() == promised) {
        Ok(())
    } else {
        Err(Refusal::Promised { promised, offered: offered.id() })
    }
}

/// Every node this member knows of is known to the record too, and none that was gone is back.
fn remembers_fates(mine: &Record, offered: &Record) -> Result<(), Refusal> {
    let forgotten = mine.named().iter().find(|known| match offered.fate(&known.node_id) {
        None => true,
        Some(fate) => known.fate != Fate::Active && fate != known.fate,
    });
    forgotten.map_or(Ok(()), |known| Err(Refusal::Forgets(known.node_id)))
}

/// Every layout that a record knows by epoch and hash.
fn known_ids(record: &Record) -> impl Iterator<Item = LayoutId> + '_ {
    let replaced = record.target().and_then(|t| t.replaces);
    record.layouts().map(crate::Layout::id).chain(replaced)
}

#[cfg(test)]
mod tests;
