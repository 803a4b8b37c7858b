//! What an operator does next, from what it has seen. Pure; the steps of a change are [`dynamo_ring::change`]'s, read by
//! [`Look`], as the command line does it.

use std::collections::BTreeMap;

use dynamo_client::change::{Look, report};
use dynamo_proto::v1::NodeStatus;
use dynamo_ring::change::Next;
use dynamo_ring::{Fate, Member, NodeId, Record, Step};

use super::spec::Spec;
use crate::net::machine;
use crate::world::member;

/// What the machines answer, those that did.
pub(super) type Answers = BTreeMap<usize, NodeStatus>;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// Replace the record by this one; what it is, in words.
    Write(Box<Record>, &'static str),
    /// Send the record to these.
    Tell(Vec<NodeId>),
    /// Ask these to retire.
    Retire(Vec<NodeId>),
    /// Look again later.
    Wait,
    /// Nothing is left to do.
    Done,
}

/// What is to be done next.
pub(super) fn decide(record: &Record, answers: &Answers, spec: &Spec) -> Act {
    if let Some(lost) = losses(record, answers, spec) {
        return Act::Write(Box::new(lost), "lost");
    }
    if record.step() == Step::Proposed
        && let Some(target) = propose(record, answers, spec)
    {
        let aborts = target.current().members() == target.stable().members();
        return Act::Write(Box::new(target), if aborts { "aborted" } else { "replaced the target" });
    }
    let status = |id: NodeId| {
        let named = record.named().iter().find(|named| named.node_id == id)?;
        let answer = answers.get(&machine(&named.name)?)?;
        (node_of(answer) == Some(id)).then(|| answer.clone())
    };
    let statuses = dynamo_ring::change::to_ask(record).map(|id| (id, status(id))).collect();
    match (Look { record: record.clone(), statuses }).next() {
        Next::Write(next) => {
            let what = match next.step() {
                Step::Frozen => "frozen",
                Step::Switched => "switched",
                Step::Committed if !record.settled() && next.settled() => "settled",
                Step::Committed if record.step() == Step::Switched => "committed",
                Step::Proposed | Step::Committed => "retired",
            };
            Act::Write(next, what)
        }
        Next::Tell(ids) => Act::Tell(ids),
        Next::Retire(ids) => Act::Retire(ids),
        Next::Wait(_) => Act::Wait,
        Next::Done => match propose(record, answers, spec) {
            Some(target) => Act::Write(Box::new(target), "proposed"),
            None if is_wanted(record, answers, spec) => Act::Done,
            None => Act::Wait,
        },
    }
}

/// The node that answers.
pub(super) fn node_of(answer: &NodeStatus) -> Option<NodeId> {
    report::node_id(&answer.node_id)
}

/// A disk is proven gone if the machine answers from an empty one, or if a person says so and the node does not answer.
fn losses(record: &Record, answers: &Answers, spec: &Spec) -> Option<Record> {
    let gone = |id: &NodeId, name: &str| {
        let answers_itself = answers.values().any(|answer| node_of(answer) == Some(*id));
        let in_its_place = machine(name).and_then(|machine| answers.get(&machine));
        !answers_itself
            && (spec.lost.contains(id) || in_its_place.is_some_and(|answer| is_new(record, answer)))
    };
    let active = record.named().iter().filter(|named| named.fate == Fate::Active);
    let mut lost =
        active.filter(|named| gone(&named.node_id, &named.name)).map(|named| named.node_id).peekable();
    lost.peek()?;
    lost.try_fold(record.clone(), |record, id| record.lost(&id)).ok()
}

/// Whether this disk was never part of the cluster.
fn is_new(record: &Record, answer: &NodeStatus) -> bool {
    !answer.has_data && node_of(answer).is_some_and(|id| record.fate(&id).is_none())
}

/// A target with the members that are wanted, if those are not the present ones and all of them can be had.
fn propose(record: &Record, answers: &Answers, spec: &Spec) -> Option<Record> {
    record.propose(&wanted(record, answers, spec)?).ok()
}

fn is_wanted(record: &Record, answers: &Answers, spec: &Spec) -> bool {
    wanted(record, answers, spec).is_some_and(|members| members == record.stable().members())
}

/// Who should be a member: whoever answers and may be one; and one that is silent but is a member already. Nothing while one
/// of them cannot be had.
fn wanted(record: &Record, answers: &Answers, spec: &Spec) -> Option<Vec<Member>> {
    let one = |machine: usize| {
        let answered = answers.get(&machine).and_then(node_of);
        let fit = |id: &NodeId| match record.fate(id) {
            None => answers.get(&machine).is_some_and(|answer| is_new(record, answer)),
            Some(fate) => fate == Fate::Active,
        };
        let name = format!("cart-{machine}");
        let standing = record.current().members().iter().find(|member| member.name == name);
        let standing = standing.filter(|member| record.fate(&member.node_id) == Some(Fate::Active));
        match answered.filter(fit) {
            Some(id) => Some(member(machine, id)),
            None if answered.is_none() => standing.cloned(),
            None => None,
        }
    };
    spec.machines().map(one).collect()
}
