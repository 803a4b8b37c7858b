//! What a record means for the partition that is looked at: the real [`View`](dynamo_ring::View), as sets of members.

use dynamo_ring::{LayoutId, Partition, Record, Step};

use super::make::node_id;
use crate::scenario::Members;

/// A layout, by its number in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lay(pub u8);

/// What a record says, as sets of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How far the change is.
    pub step: Step,
    /// No change is under way.
    pub settled: bool,
    /// The layout whose step it is.
    pub id: Lay,
    /// S.
    pub stable: Lay,
    /// The target that T directly replaces.
    pub replaces: Option<Lay>,
    /// Every layout in it.
    pub layouts: Vec<Lay>,
    /// Whom a read asks.
    pub read: Members,
    /// In each of these a write meets its quorum: S, then T.
    pub write: Vec<Members>,
    /// Whom S gives the partition.
    pub stable_holders: Members,
    /// Whom T gives the partition.
    pub target_holders: Members,
    /// Members of S.
    pub in_stable: Members,
    /// Members of S and T.
    pub serve: Members,
    /// Members of the layout before S.
    pub in_previous: Members,
    /// Members of any of them.
    pub names: Members,
    /// Who is lost.
    pub lost: Members,
}

impl Facts {
    pub(super) fn of(
        record: &Record,
        partition: Partition,
        members: u8,
        lay: impl Fn(LayoutId) -> Lay,
    ) -> Self {
        let view = record.view();
        let set = |has: &dyn Fn(u8) -> bool| (0..members).filter(|m| has(*m)).fold(0, |set, m| set | 1 << m);
        let holders = |layout: &dynamo_ring::Layout| set(&|m| layout.holds(&node_id(m), partition));
        let lost: Vec<_> = record.lost_ids().collect();
        let replaces = record.target().and_then(|target| target.replaces);
        Self {
            step: record.step(),
            settled: record.settled(),
            id: lay(record.id()),
            stable: lay(record.stable().id()),
            replaces: replaces.map(&lay),
            layouts: record.layouts().map(|layout| lay(layout.id())).collect(),
            read: holders(view.read_layout()),
            write: view.write_layouts().map(holders).collect(),
            stable_holders: holders(record.stable()),
            target_holders: record.target().map_or(0, |target| holders(&target.layout)),
            in_stable: set(&|m| record.stable().names(&node_id(m))),
            serve: set(&|m| view.write_layouts().any(|layout| layout.names(&node_id(m)))),
            in_previous: set(&|m| record.previous().is_some_and(|layout| layout.names(&node_id(m)))),
            names: set(&|m| view.names(&node_id(m))),
            lost: set(&|m| lost.contains(&node_id(m))),
        }
    }

    /// Whom S or T gives the partition.
    pub const fn holders(&self) -> Members {
        self.stable_holders | self.target_holders
    }
}
