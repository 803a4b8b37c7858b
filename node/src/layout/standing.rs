//! What everybody else sees of what this node goes by: one immutable picture, replaced as a whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use dynamo_ring::fence::SenderStamp;
use dynamo_ring::{LayoutId, NodeId, Partition, Record, Step, View};

/// What this node goes by at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// This node.
    pub me: NodeId,
    /// The layout record, as stored.
    pub record: Arc<Record>,
    /// The partitions whose keys stand in Merkle trees here: by S and T, and what is still to be handed over.
    pub held: Arc<BTreeSet<Partition>>,
    /// The target (or first layout) for which everything that it does not give has been dropped, and everything that
    /// it gives is held.
    pub cleaned: Option<LayoutId>,
    /// The record has been acknowledged: it is durable, acted on, and requests begun under an older one have ended.
    pub acked: bool,
    /// The committed layout for which everything it took from this node has been handed over and dropped.
    pub handed_over: Option<LayoutId>,
    /// This node has left for good.
    pub retired: bool,
}

/// What a change of layout asks of this node just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duty {
    /// Copy these: the target gives them to this node, the stable layout did not.
    Sync {
        /// T.
        target: LayoutId,
        /// What is to be copied.
        partitions: BTreeSet<Partition>,
    },
    /// Hand over and drop these: the commit took them from this node.
    HandOver {
        /// What is S now.
        committed: LayoutId,
        /// What is to be handed over; perhaps nothing.
        partitions: BTreeSet<Partition>,
        /// S does not name this node, so its hints go as well.
        hints: bool,
    },
}

impl Standing {
    /// What requests of this node carry.
    pub fn stamp(&self) -> SenderStamp {
        SenderStamp::of(&self.record)
    }

    /// The step that this node has acknowledged, if it has acknowledged the one it is at.
    pub fn acked_stamp(&self) -> Option<SenderStamp> {
        self.acked.then(|| self.stamp())
    }

    /// The record, read as the rules of requests.
    pub fn view(&self) -> View<'_> {
        self.record.view()
    }

    /// Whether S or T names this node: only then does it serve.
    pub fn serves(&self) -> bool {
        !self.retired && self.record.view().write_layouts().any(|layout| layout.names(&self.me))
    }

    /// Whether S, T or the layout before S names this node.
    pub fn names_me(&self) -> bool {
        self.record.view().names(&self.me)
    }

    /// Whether this node holds `partition`: its keys stand in a Merkle tree here.
    pub fn holds(&self, partition: Partition) -> bool {
        self.held.contains(&partition)
    }

    /// Whether `node` is a member of S, T or the layout before S and not lost: whose calls are answered.
    pub fn admits(&self, node: &NodeId) -> bool {
        self.record.view().names(node) && !self.is_lost(node)
    }

    /// Whether `node`'s volume is proven gone.
    pub fn is_lost(&self, node: &NodeId) -> bool {
        self.record.fate(node) == Some(dynamo_ring::Fate::Lost)
    }

    /// What S gives this node.
    pub fn stable_gives(&self) -> BTreeSet<Partition> {
        self.record.stable().partitions_of(&self.me).collect()
    }

    /// What the target gives this node and S does not; empty without a target.
    pub fn gains(&self) -> BTreeSet<Partition> {
        let Some(target) = self.record.target() else { return BTreeSet::new() };
        let stable = self.record.stable();
        target.layout.partitions_of(&self.me).filter(|p| !stable.holds(&self.me, *p)).collect()
    }

    /// What the change asks of this node, if anything. Nothing before it has cleaned up: a copy must not begin on top of
    /// what an abandoned target left.
    pub fn duty(&self) -> Option<Duty> {
        if self.retired || self.cleaned != Some(self.record.id()) {
            return None;
        }
        match self.record.step() {
            Step::Proposed => {
                let partitions = self.gains();
                (!partitions.is_empty()).then(|| Duty::Sync { target: self.record.id(), partitions })
            }
            // Only once older requests have ended: they may still write what is to be handed over.
            Step::Committed if self.acked && self.handed_over != Some(self.record.id()) => {
                let stable = self.record.stable();
                let partitions = self.held.iter().filter(|p| !stable.holds(&self.me, **p)).copied().collect();
                let hints = !stable.names(&self.me);
                Some(Duty::HandOver { committed: self.record.id(), partitions, hints })
            }
            Step::Frozen | Step::Switched | Step::Committed => None,
        }
    }
}
