//! Who is who: pods are found by ordinal, members are known by node id (lessons 3, 4 and 6 of operators).

use dynamo_ring::change::{self, Reports};
use dynamo_ring::{Fate, Member, NodeId, Record};

use super::volumes;
use crate::controller::observed::{Answer, ClaimSeen, Observed, PodSeen};
use crate::controller::validate::Desired;
use crate::names::Names;

/// How long a pod that is new may take before the others go on without it. Its image may have to be pulled, its
/// volume made and its name to appear in DNS.
const PATIENCE_SECONDS: u64 = 60;

/// What every member that may hold data has said, by the node id that was asked. One that answers under another node
/// id has not answered: it is someone else.
pub fn reports(record: &Record, observed: &Observed, names: &Names) -> Reports {
    let asked = record.named().iter().filter(|named| named.fate == Fate::Active);
    asked
        .map(|named| {
            let answer = names.ordinal(&named.name).and_then(|ordinal| answer(observed, ordinal));
            let report = answer.map(|a| a.report.clone()).filter(|r| r.node_id == named.node_id);
            (named.node_id, report)
        })
        .collect()
}

/// Whether every member that may hold data could be asked.
pub fn all_answered(record: &Record, observed: &Observed, names: &Names) -> bool {
    let reports = reports(record, observed, names);
    change::to_ask(record).all(|id| reports.get(&id).is_some_and(Option::is_some))
}

/// The ordinal of the pod that `node_id` was named with.
pub fn ordinal_of(record: &Record, node_id: &NodeId, names: &Names) -> Option<u32> {
    let named = record.named().iter().find(|named| named.node_id == *node_id)?;
    names.ordinal(&named.name)
}

/// The losses that are proven and not yet noted, and those that a person claims and that are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Losses {
    /// To be noted.
    pub proven: Vec<NodeId>,
    /// Said to be lost, but they answer.
    pub refused: Vec<NodeId>,
}

/// A volume is proven gone if the pod of that name answers from an empty directory, or if a person says so and it
/// does not answer.
pub fn losses(record: &Record, observed: &Observed, desired: &Desired) -> Losses {
    let answers =
        |id: NodeId| observed.pods.values().any(|p| p.answer.as_ref().is_some_and(|a| a.node_id() == id));
    let mut losses = Losses::default();
    for named in record.named().iter().filter(|named| named.fate == Fate::Active) {
        let id = named.node_id;
        if answers(id) {
            if desired.lost.contains(&id) {
                losses.refused.push(id);
            }
            continue;
        }
        let in_its_place = desired.names.ordinal(&named.name).and_then(|ordinal| answer(observed, ordinal));
        if desired.lost.contains(&id) || in_its_place.is_some_and(|answer| is_new(record, answer)) {
            losses.proven.push(id);
        }
    }
    losses
}

/// A living member that a person wants to begin anew on another volume, and its ordinal. One after another, the lowest
/// first: until it has retired, its ordinal is left out of what is wanted. Only this leaves out a lower ordinal.
pub fn replaced(record: &Record, desired: &Desired) -> Option<(u32, NodeId)> {
    let active = record.named().iter().filter(|named| named.fate == Fate::Active);
    let asked = active.filter(|named| desired.replaced.contains(&named.node_id));
    let stays = asked.filter_map(|named| Some((desired.names.ordinal(&named.name)?, named.node_id)));
    stays.filter(|(ordinal, _)| *ordinal < desired.replicas).min()
}

/// How many ordinals may be wanted: those of the spec, and one more while one of only N is replaced, since each
/// partition needs N members throughout.
pub fn reach(observed: &Observed, desired: &Desired) -> u32 {
    let Some(record) = observed.layout.record() else { return desired.replicas };
    let stand_in = replaced(record, desired).is_some() && desired.replicas <= u32::from(record.quorum().n);
    desired.replicas.saturating_add(u32::from(stand_in))
}

/// The members that the next target should have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The lowest ordinals, without a gap but for the one that is [`replaced`]: a broken one is replaced, never skipped.
    pub members: Vec<Member>,
    /// Those among them that do not answer now. A target names only pods that are up.
    pub silent: Vec<NodeId>,
    /// The first ordinal that could not be had; nothing if all were.
    pub missing: Option<u32>,
    /// The missing one is new, and may come yet.
    pub may_come: bool,
    /// Pods whose volume has data that this cluster does not know.
    pub unknown: Vec<u32>,
}

/// Who should be a member, as far as pods are up. A member that is silent for a while stays one: being unreachable
/// never changes the layout.
pub fn wanted(record: &Record, observed: &Observed, desired: &Desired) -> Wanted {
    let mut wanted = Wanted::default();
    let left_out = replaced(record, desired).map(|(ordinal, _)| ordinal);
    for ordinal in (0..reach(observed, desired)).filter(|ordinal| Some(*ordinal) != left_out) {
        let name = desired.names.pod(ordinal);
        let standing = record.current().members().iter().find(|m| m.name == name);
        let standing = standing.filter(|m| record.fate(&m.node_id) == Some(Fate::Active));
        match (candidate(record, observed, ordinal, desired), standing) {
            (Candidate::Up(id, zone), _) => wanted.members.push(member(record, desired, ordinal, id, zone)),
            (_, Some(standing)) => {
                wanted.silent.push(standing.node_id);
                wanted.members.push(Member { weight: desired.weight(ordinal), ..standing.clone() });
            }
            (other, None) => {
                if other == Candidate::Unknown {
                    wanted.unknown.push(ordinal);
                }
                wanted.missing = Some(ordinal);
                let young = |pod: &PodSeen| pod.age_seconds < PATIENCE_SECONDS;
                wanted.may_come = other == Candidate::Down && observed.pods.get(&ordinal).is_none_or(young);
                break;
            }
        }
    }
    wanted
}

/// Whether this directory has never been part of this cluster's data. It may have been told of a layout that does not
/// name it; that stores nothing.
fn is_new(record: &Record, answer: &Answer) -> bool {
    let ours = answer.cluster_id.is_none_or(|id| id == record.cluster_id());
    ours && !answer.has_data && record.fate(&answer.node_id()).is_none()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Candidate<'a> {
    /// It answers, and a layout may name it.
    Up(NodeId, &'a str),
    /// It does not answer, or is about to be made anew.
    Down,
    /// It answers from a volume of another life.
    Unknown,
}

fn candidate<'a>(record: &Record, observed: &'a Observed, ordinal: u32, desired: &Desired) -> Candidate<'a> {
    let Some(pod) = observed.pods.get(&ordinal).filter(|pod| !pod.terminating) else {
        return Candidate::Down;
    };
    let Some(answer) = &pod.answer else { return Candidate::Down };
    let id = answer.node_id();
    let named = record.named().iter().find(|named| named.node_id == id);
    let known = match named {
        None => is_new(record, answer),
        Some(named) => {
            named.name == desired.names.pod(ordinal)
                && answer.cluster_id.is_none_or(|c| c == record.cluster_id())
        }
    };
    let gone = named.is_some_and(|named| named.fate != Fate::Active) || answer.report.retired;
    // What is stored on a volume that is being deleted, or is about to be, is gone when its pod is.
    let goes = |c: &ClaimSeen| c.terminating || volumes::replaced(record, c, desired);
    let going = observed.claims.get(&ordinal).is_some_and(|c| goes(c) && c.node_id != Some(id));
    if !known {
        Candidate::Unknown
    } else if gone || going {
        Candidate::Down
    } else {
        Candidate::Up(id, &pod.zone)
    }
}

/// A member that a layout names stays as it was named, since a label that moves on a Kubernetes node moves no data; but
/// its weight is what the spec says now.
fn member(record: &Record, desired: &Desired, ordinal: u32, node_id: NodeId, zone: &str) -> Member {
    let weight = desired.weight(ordinal);
    match record.view().member(&node_id) {
        Some(named) => Member { weight, ..named.clone() },
        None => Member {
            name: desired.names.pod(ordinal),
            node_id,
            zone: zone.to_owned(),
            address: desired.names.address(ordinal),
            weight,
        },
    }
}

/// What the pod of this ordinal says. One that is being deleted is not asked: it says nothing about its successor.
fn answer(observed: &Observed, ordinal: u32) -> Option<&Answer> {
    observed.pods.get(&ordinal)?.answer.as_ref()
}
