//! Which processes have to run, and which change of layout is to be proposed, for a wanted number of members.
//!
//! The same rules as the operator's, without Kubernetes: nobody is stopped who may hold data, the members that leave
//! are those with the highest ordinals, and a target names only nodes that have just answered.

use std::collections::{BTreeMap, BTreeSet};

use dynamo_proto::v1 as proto;
use dynamo_ring::{Fate, Member, NodeId, Record, Step};

use crate::change::report::node_id;

/// What is there.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Ordinals of the processes that run.
    pub running: BTreeSet<u16>,
    /// What each of them that answers says of itself.
    pub answers: BTreeMap<u16, proto::NodeStatus>,
    /// The layout record, once there is one.
    pub record: Option<Record>,
}

/// What to do. All of it, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Start the process of this ordinal.
    Start(u16),
    /// Stop it: it holds nothing, and said so durably, or was never named.
    Stop(u16),
    /// Make the first layout of these ordinals.
    Form(Vec<u16>),
    /// Propose a target of these ordinals.
    Propose(Vec<u16>),
    /// A round of the change.
    Turn,
}

/// The name of the node with this ordinal.
pub fn name(ordinal: u16) -> String {
    format!("dev-{ordinal}")
}

/// The ordinal in a node's name.
pub fn ordinal(name: &str) -> Option<u16> {
    name.strip_prefix("dev-")?.parse().ok()
}

/// What to do for `wanted` members.
pub fn decide(wanted: u16, observed: &Observed) -> Vec<Effect> {
    let holders: BTreeSet<u16> = observed.record.iter().flat_map(may_hold_data).collect();
    let needed = |ordinal: &u16| *ordinal < wanted || holders.contains(ordinal);
    let mut effects = Vec::new();
    for &ordinal in &observed.running {
        // A retired node that is wanted again begins anew with an empty directory and a new node id.
        if !needed(&ordinal) || retired(observed, ordinal) {
            effects.push(Effect::Stop(ordinal));
        }
    }
    let highest = holders.last().map_or(0, |last| last + 1).max(wanted);
    effects.extend((0..highest).filter(needed).filter(|o| !observed.running.contains(o)).map(Effect::Start));
    let members: Vec<u16> = (0..wanted).collect();
    let ready = members.iter().all(|o| fit(observed, *o));
    match &observed.record {
        None if ready => effects.push(Effect::Form(members)),
        None => {}
        Some(record) => {
            let open = record.settled() || record.step() == Step::Proposed;
            if ready && open && named(record) != ids(observed, &members) {
                effects.push(Effect::Propose(members));
            }
            effects.push(Effect::Turn);
        }
    }
    effects
}

/// The member that this node is: its name, node id and address.
pub fn member(status: &proto::NodeStatus, address: String) -> Option<Member> {
    let node_id = node_id(&status.node_id)?;
    Some(Member { name: status.name.clone(), node_id, zone: String::new(), address, weight: 1 })
}

fn may_hold_data(record: &Record) -> impl Iterator<Item = u16> + '_ {
    record.named().iter().filter(|n| n.fate == Fate::Active).filter_map(|n| ordinal(&n.name))
}

fn retired(observed: &Observed, ordinal: u16) -> bool {
    let Some(status) = observed.answers.get(&ordinal) else { return false };
    let id = node_id(&status.node_id);
    // Only once the record says so: until then the node is asked for its proof again.
    observed.record.iter().any(|r| id.is_some_and(|id| r.fate(&id) == Some(Fate::Retired)))
}

/// It has just answered, and may be named.
fn fit(observed: &Observed, ordinal: u16) -> bool {
    observed
        .answers
        .get(&ordinal)
        .is_some_and(|status| node_id(&status.node_id).is_some() && status.stage() != proto::Stage::Retired)
        && !retired(observed, ordinal)
}

fn named(record: &Record) -> BTreeSet<NodeId> {
    record.current().members().iter().map(|m| m.node_id).collect()
}

fn ids(observed: &Observed, members: &[u16]) -> BTreeSet<NodeId> {
    members.iter().filter_map(|o| node_id(&observed.answers.get(o)?.node_id)).collect()
}

#[cfg(test)]
mod tests {
    use dynamo_ring::{ClusterId, Partitions, Quorum, plan};

    use super::*;

    fn status(ordinal: u16, stage: proto::Stage) -> proto::NodeStatus {
        proto::NodeStatus {
            name: name(ordinal),
            node_id: vec![u8::try_from(ordinal).unwrap(); 16].into(),
            stage: stage.into(),
            ..proto::NodeStatus::default()
        }
    }

    fn members(count: u16) -> Vec<Member> {
        (0..count).map(|o| member(&status(o, proto::Stage::Serving), format!("a:{o}")).unwrap()).collect()
    }

    fn record(count: u16) -> Record {
        let layout =
            plan::first(&members(count), Partitions::new(16).unwrap(), 3, ClusterId([1; 16])).unwrap();
        Record::first(layout, Quorum { n: 3, r: 2, w: 2 }).unwrap()
    }

    fn observed(running: u16, record: Option<Record>) -> Observed {
        let answers = (0..running).map(|o| (o, status(o, proto::Stage::Serving))).collect();
        Observed { running: (0..running).collect(), answers, record }
    }

    fn after(record: &Record) -> Record {
        record.freeze().unwrap().switch().unwrap().commit().unwrap().settle().unwrap()
    }

    #[test]
    fn a_new_cluster_is_started_and_formed_when_all_answer() {
        assert_eq!(decide(3, &observed(0, None)), [0, 1, 2].map(Effect::Start));
        let mut some = observed(3, None);
        some.answers.remove(&1);
        assert_eq!(decide(3, &some), []);
        assert_eq!(decide(3, &observed(3, None)), [Effect::Form(vec![0, 1, 2])]);
    }

    #[test]
    fn growing_starts_first_and_proposes_when_the_new_ones_answer() {
        let three = observed(3, Some(record(3)));
        assert_eq!(decide(3, &three), [Effect::Turn]);
        assert_eq!(decide(5, &three), [Effect::Start(3), Effect::Start(4), Effect::Turn]);
        let five = observed(5, Some(record(3)));
        assert_eq!(decide(5, &five), [Effect::Propose(vec![0, 1, 2, 3, 4]), Effect::Turn]);
    }

    #[test]
    fn shrinking_stops_nobody_before_its_proof() {
        let settled = record(5);
        let mut now = observed(5, Some(settled.clone()));
        assert_eq!(decide(3, &now), [Effect::Propose(vec![0, 1, 2]), Effect::Turn]);
        let shrunk = after(&settled.propose(&members(3)).unwrap());
        now.record = Some(shrunk.clone());
        assert_eq!(decide(3, &now), [Effect::Turn], "they may hold data until they have retired");
        let one = shrunk.retired(&NodeId([4; 16])).unwrap();
        now.record = Some(one.clone());
        assert_eq!(decide(3, &now), [Effect::Stop(4), Effect::Turn]);
        now.record = Some(one.retired(&NodeId([3; 16])).unwrap());
        assert_eq!(decide(3, &now), [Effect::Stop(3), Effect::Stop(4), Effect::Turn]);
    }

    #[test]
    fn a_change_of_mind_replaces_a_target_until_it_is_frozen() {
        let proposed = record(3).propose(&members(5)).unwrap();
        let mut now = observed(5, Some(proposed.clone()));
        assert_eq!(decide(3, &now), [Effect::Propose(vec![0, 1, 2]), Effect::Turn]);
        now.record = Some(proposed.freeze().unwrap());
        assert_eq!(decide(3, &now), [Effect::Turn], "then it ends first");
    }

    #[test]
    fn who_may_hold_data_is_started_again_though_not_wanted() {
        let mut now = observed(3, Some(record(3).propose(&members(5)).unwrap()));
        now.record = now.record.map(|r| r.freeze().unwrap());
        assert_eq!(decide(3, &now), [Effect::Start(3), Effect::Start(4), Effect::Turn]);
    }

    #[test]
    fn a_retired_node_that_is_wanted_again_begins_anew() {
        let shrunk = after(&record(4).propose(&members(3)).unwrap()).retired(&NodeId([3; 16])).unwrap();
        let mut now = observed(4, Some(shrunk));
        assert_eq!(decide(4, &now), [Effect::Stop(3), Effect::Turn]);
        now.running.remove(&3);
        now.answers.remove(&3);
        assert_eq!(decide(4, &now), [Effect::Start(3), Effect::Turn]);
    }

    #[test]
    fn nothing_is_proposed_while_a_wanted_member_is_silent() {
        let mut now = observed(5, Some(record(3)));
        now.answers.remove(&0);
        assert_eq!(decide(5, &now), [Effect::Turn]);
    }
}
