//! From one record to the next.

use super::{Fate, Named, Quorum, Record, RecordError, Step, Target, TransitionRefused};
use crate::{Layout, Member, NodeId, plan};

impl Record {
    /// The record of a cluster's first layout, which serves at once: there is nothing to move.
    pub fn first(layout: Layout, quorum: Quorum) -> Result<Self, RecordError> {
        quorum.check(layout.n())?;
        let mut record = Self {
            quorum,
            step: Step::Committed,
            highest_epoch: layout.epoch(),
            named: Vec::new(),
            stable: layout,
            target: None,
            previous: None,
        };
        record.name_members();
        Ok(record)
    }

    /// A target for these members, at an epoch never used before. Until the freeze it replaces the target that
    /// stands; proposing the stable layout's own members aborts it.
    pub fn propose(&self, members: &[Member]) -> Result<Self, TransitionRefused> {
        if self.step != Step::Proposed && !self.settled() {
            return Err(TransitionRefused::ChangeUnderWay(self.step));
        }
        for member in members {
            match self.fate(&member.node_id) {
                Some(fate @ (Fate::Retired | Fate::Lost)) => {
                    return Err(TransitionRefused::Barred { node_id: member.node_id, fate });
                }
                Some(Fate::Active) | None => {}
            }
        }
        let mut sorted = members.to_vec();
        sorted.sort_unstable();
        if sorted == self.current().members() {
            return Err(TransitionRefused::Unchanged);
        }
        let epoch = self.highest_epoch + 1;
        let layout = plan::plan(&self.stable, members, epoch)?;
        let replaces = self.target.as_ref().map(|t| t.layout.id());
        let mut next = Self {
            step: Step::Proposed,
            highest_epoch: epoch,
            target: Some(Target { layout, replaces }),
            ..self.clone()
        };
        next.name_members();
        next.check_named()?;
        Ok(next)
    }

    /// Asks every member to promise the target.
    pub fn freeze(&self) -> Result<Self, TransitionRefused> {
        self.advance(Step::Proposed, Step::Frozen)
    }

    /// Lets reads use the target.
    pub fn switch(&self) -> Result<Self, TransitionRefused> {
        self.advance(Step::Frozen, Step::Switched)
    }

    /// Makes the target the stable layout; the old one stays noted until its members have handed over.
    pub fn commit(&self) -> Result<Self, TransitionRefused> {
        let mut next = self.advance(Step::Switched, Step::Committed)?;
        if let Some(target) = next.target.take() {
            next.previous = Some(std::mem::replace(&mut next.stable, target.layout));
        }
        Ok(next)
    }

    /// Ends the change: every member has handed over.
    pub fn settle(&self) -> Result<Self, TransitionRefused> {
        if self.step != Step::Committed {
            return Err(TransitionRefused::WrongStep { step: self.step, needed: Step::Committed });
        }
        Ok(Self { previous: None, ..self.clone() })
    }

    /// Notes that a node has retired: its pod and its volume may go.
    pub fn retired(&self, node_id: &NodeId) -> Result<Self, TransitionRefused> {
        if self.layouts().any(|layout| layout.names(node_id)) {
            return Err(TransitionRefused::StillNamed(*node_id));
        }
        self.note(node_id, Fate::Retired)
    }

    /// Notes that a node's volume is proven gone. It stays in the layouts that name it until a target leaves it out.
    pub fn lost(&self, node_id: &NodeId) -> Result<Self, TransitionRefused> {
        self.note(node_id, Fate::Lost)
    }

    fn advance(&self, from: Step, to: Step) -> Result<Self, TransitionRefused> {
        if self.step != from {
            return Err(TransitionRefused::WrongStep { step: self.step, needed: from });
        }
        Ok(Self { step: to, ..self.clone() })
    }

    /// A fate is noted once; noting the same again changes nothing.
    fn note(&self, node_id: &NodeId, fate: Fate) -> Result<Self, TransitionRefused> {
        let mut next = self.clone();
        match next.named.iter_mut().find(|n| n.node_id == *node_id) {
            None => Err(TransitionRefused::NeverNamed(*node_id)),
            Some(named) if named.fate == Fate::Active || named.fate == fate => {
                named.fate = fate;
                Ok(next)
            }
            Some(named) => Err(TransitionRefused::Barred { node_id: *node_id, fate: named.fate }),
        }
    }

    /// Adds to the named whoever a layout names for the first time.
    fn name_members(&mut self) {
        let known: Vec<NodeId> = self.named.iter().map(|n| n.node_id).collect();
        let mut new: Vec<Named> = self
            .current()
            .members()
            .iter()
            .filter(|m| !known.contains(&m.node_id))
            .map(|m| Named { name: m.name.clone(), node_id: m.node_id, fate: Fate::Active })
            .collect();
        self.named.append(&mut new);
        self.named.sort_unstable_by(|a, b| (&a.name, a.node_id).cmp(&(&b.name, b.node_id)));
    }
}
