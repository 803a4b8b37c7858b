//! The next write of the layout record, and whom to tell.
//!
//! The record is written first, then the StatefulSet bears its epoch and the volume claims the node ids of its members,
//! and only then is anyone told. So whoever decided to lower the StatefulSet or to delete a volume before that, finds
//! another version than he read (`docs/operator.md`, "Two writers").

use std::collections::BTreeSet;

use dynamo_ring::change::{self, Next, Waiting};
use dynamo_ring::{ClusterId, Layout, Member, NodeId, Record, Step as Phase, plan as placement};

use super::members::{Wanted, losses, ordinal_of, replaced, reports, wanted};
use super::{Plan, Step, Wait};
use crate::controller::observed::{LayoutSeen, Observed, Version};
use crate::controller::validate::Desired;

/// Random numbers, made outside: this is a pure function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    /// For a first layout.
    pub cluster_id: ClusterId,
}

/// Forms the first layout, or takes the one that stands further.
pub fn plan(observed: &Observed, desired: &Desired, seed: &Seed) -> Plan {
    match &observed.layout {
        LayoutSeen::Unusable(_) => Plan::default(),
        LayoutSeen::Absent => first(observed, desired, seed),
        LayoutSeen::Present { record, version, owned_as_wanted } => {
            let lane = Lane { observed, desired, record, version };
            let plan = lane.next();
            if !owned_as_wanted && plan.steps.is_empty() {
                return Plan { steps: vec![lane.replace((**record).clone())], ..plan };
            }
            plan
        }
    }
}

/// The first layout is made only if every wanted pod has just answered "no layout, no data"; one that cannot be asked
/// holds it.
fn first(observed: &Observed, desired: &Desired, seed: &Seed) -> Plan {
    let names = &desired.names;
    let answer = |ordinal: u32| observed.pods.get(&ordinal).filter(|pod| !pod.terminating)?.answer.as_ref();
    let full = |ordinal: &u32| answer(*ordinal).is_some_and(|answer| !answer.blank());
    let full: Vec<String> = observed.pods.keys().filter(|o| full(o)).map(|o| names.pod(*o)).collect();
    // A claim that bears a node id is of a member that was told: there was a layout once.
    let told =
        observed.claims.iter().filter(|(_, claim)| claim.node_id.is_some()).map(|(o, _)| names.pod(*o));
    let known: BTreeSet<String> = full.into_iter().chain(told).collect();
    if !known.is_empty() {
        return Plan::wait(Wait::LayoutMissing(known.into_iter().collect()));
    }
    let going = |ordinal: u32| observed.claims.get(&ordinal).is_some_and(|claim| claim.terminating);
    let down: Vec<String> =
        (0..desired.replicas).filter(|o| answer(*o).is_none() || going(*o)).map(|o| names.pod(o)).collect();
    if !down.is_empty() {
        return Plan::wait(Wait::NotUp(down));
    }
    let member = |ordinal: u32| {
        Some(Member {
            name: names.pod(ordinal),
            node_id: answer(ordinal)?.node_id(),
            zone: observed.pods.get(&ordinal)?.zone.clone(),
            address: names.address(ordinal),
            weight: desired.weight(ordinal),
        })
    };
    let members: Vec<Member> = (0..desired.replicas).filter_map(member).collect();
    let layout = placement::first(&members, desired.partitions, desired.quorum.n, seed.cluster_id);
    let record = layout.map_err(|e| e.to_string());
    let record = record.and_then(|layout| Record::first(layout, desired.quorum).map_err(|e| e.to_string()));
    match record {
        Ok(record) => Plan::step(Step::CreateLayout(Box::new(record))),
        Err(why) => Plan::wait(Wait::Refused(why)),
    }
}

struct Lane<'a> {
    observed: &'a Observed,
    desired: &'a Desired,
    record: &'a Record,
    version: &'a Version,
}

impl Lane<'_> {
    fn next(&self) -> Plan {
        let losses = losses(self.record, self.observed, self.desired);
        let mut plan = Plan::default();
        if !losses.refused.is_empty() {
            plan.waits.push(Wait::LostStillAnswer(losses.refused));
        }
        if !losses.proven.is_empty() {
            return plan.and(self.note(&losses.proven));
        }
        // Until the freeze a change of mind does not wait for anyone: S is complete throughout.
        if self.record.step() == Phase::Proposed {
            let proposal = self.propose();
            if !proposal.steps.is_empty() {
                return plan.and(proposal);
            }
        }
        match change::next(self.record, &reports(self.record, self.observed, &self.desired.names)) {
            Next::Write(record) => plan.and(Plan::step(self.replace(*record))),
            Next::Tell(ids) => plan.and(self.tell(&ids)),
            Next::Retire(ids) => plan.and(self.retire(&ids)),
            Next::Wait(waiting) => plan.and(Plan::wait(Wait::Change(waiting))),
            Next::Done => {
                let proposal = self.propose();
                let told = if proposal.steps.is_empty() { self.tell_settled() } else { Plan::default() };
                plan.and(proposal).and(told)
            }
        }
    }

    /// Members that stay hear that the change has settled: clients take their word for how the layout stands.
    fn tell_settled(&self) -> Plan {
        let stays = self.record.stable().members().iter().map(|member| member.node_id);
        let unaware = |id: &NodeId| {
            let mut answers = self.observed.pods.values().filter_map(|pod| pod.answer.as_ref());
            answers.any(|answer| answer.node_id() == *id && !answer.settled)
        };
        self.tell(&stays.filter(unaware).collect::<Vec<_>>())
    }

    fn replace(&self, record: Record) -> Step {
        Step::ReplaceLayout { at: self.version.clone(), record: Box::new(record) }
    }

    fn note(&self, lost: &[NodeId]) -> Plan {
        let noted = lost.iter().try_fold(self.record.clone(), |record, id| record.lost(id));
        match noted {
            Ok(record) => Plan::step(self.replace(record)),
            Err(why) => Plan::wait(Wait::Refused(why.to_string())),
        }
    }

    /// A target for the members that are wanted, if they are not those of the present layout.
    fn propose(&self) -> Plan {
        let wanted = wanted(self.record, self.observed, self.desired);
        let mut plan = Plan::default();
        if !wanted.unknown.is_empty() {
            let pods = wanted.unknown.iter().map(|o| self.desired.names.pod(*o)).collect();
            plan.waits.push(Wait::UnknownData(pods));
        }
        if let Some(missing) = wanted.missing.filter(|_| wanted.unknown.is_empty()) {
            plan.waits.push(Wait::NotUp(vec![self.desired.names.pod(missing)]));
        }
        if self.as_it_stands(&wanted) || (wanted.may_come && self.only_adds(&wanted)) {
            return plan;
        }
        if wanted.missing.is_some_and(|ordinal| ordinal >= self.desired.replicas) {
            // The stand-in: without it nobody is replaced.
            return plan;
        }
        if wanted.members.len() < usize::from(self.record.quorum().n) {
            return plan.and(Plan::wait(Wait::TooFewMembers {
                up: wanted.members.len(),
                n: self.record.quorum().n,
            }));
        }
        // Some wanted ones could not be had: the others must at least not be fewer than they are.
        if wanted.missing.is_some() && wanted.members.len() < self.kept() {
            return plan;
        }
        if !wanted.silent.is_empty() {
            return plan.and(Plan::wait(Wait::Change(Waiting::Unreachable(wanted.silent))));
        }
        match self.record.propose(&wanted.members) {
            Ok(record) => plan.and(Plan::step(self.replace(record))),
            Err(why) => plan.and(Plan::wait(Wait::Refused(why.to_string()))),
        }
    }

    fn as_it_stands(&self, wanted: &Wanted) -> bool {
        let shares =
            |members: &[Member]| members.iter().map(|m| (m.node_id, m.weight)).collect::<BTreeSet<_>>();
        shares(&wanted.members) == shares(self.record.current().members())
    }

    fn only_adds(&self, wanted: &Wanted) -> bool {
        let stays = |id: &NodeId| wanted.members.iter().any(|m| m.node_id == *id);
        self.record.current().members().iter().all(|m| stays(&m.node_id))
    }

    /// The members of the stable layout that are to stay, whoever stands behind their names.
    fn kept(&self) -> usize {
        let ordinal = |m: &Member| self.desired.names.ordinal(&m.name);
        let replaced = replaced(self.record, self.desired).map(|(_, id)| id);
        let stays = |m: &&Member| {
            ordinal(m).is_some_and(|ordinal| ordinal < self.desired.replicas) && Some(m.node_id) != replaced
        };
        self.record.stable().members().iter().filter(stays).count()
    }

    fn tell(&self, ids: &[NodeId]) -> Plan {
        let told = self.observed.statefulset.as_ref().is_some_and(|s| s.epoch >= self.record.highest_epoch());
        if !told {
            // The lane of the StatefulSet raises the epoch; the next pass tells.
            return Plan::default();
        }
        let mut plan = Plan::default();
        let mut members = Vec::new();
        for (ordinal, id) in self.with_ordinals(ids) {
            match self.observed.claims.get(&ordinal) {
                // What an abandoned target named, and no layout names now, hears of the end of a change only: one that
                // was down since would else go on keeping a promise that nobody needs any more.
                _ if !self.in_a_layout(&id) => {}
                // What is told to a member on a volume that is going would be stored there.
                Some(claim) if claim.node_id != Some(id) && claim.terminating => {}
                Some(claim) if claim.node_id != Some(id) => {
                    let at = claim.version.clone();
                    plan.steps.push(Step::MarkVolume { ordinal, at, node_id: Some(id) });
                }
                _ => members.push((ordinal, id)),
            }
        }
        if plan.steps.is_empty() && !members.is_empty() {
            plan.steps.push(Step::Tell { record: Box::new(self.record.clone()), members });
        }
        plan
    }

    fn with_ordinals(&self, ids: &[NodeId]) -> impl Iterator<Item = (u32, NodeId)> {
        ids.iter().filter_map(|id| Some((ordinal_of(self.record, id, &self.desired.names)?, *id)))
    }

    fn in_a_layout(&self, id: &NodeId) -> bool {
        self.record.layouts().any(|layout: &Layout| layout.names(id))
    }

    /// Whoever is to retire hears first of the record as it stands, which does not name it: it may still believe in an
    /// abandoned target, or may not know that the last change has settled (which moves no stamp, so it cannot be asked).
    fn retire(&self, ids: &[NodeId]) -> Plan {
        let members: Vec<(u32, NodeId)> = self.with_ordinals(ids).collect();
        let cluster_id = self.record.cluster_id();
        let retire = members.iter().map(|&(ordinal, node_id)| Step::Retire { ordinal, cluster_id, node_id });
        let retire: Vec<Step> = retire.collect();
        let tell = Step::Tell { record: Box::new(self.record.clone()), members };
        Plan { steps: [vec![tell], retire].concat(), waits: Vec::new() }
    }
}
