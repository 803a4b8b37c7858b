use proptest::prelude::*;

use super::*;
use crate::fence::{Take, may_take};
use crate::record::tests::{change, fresh, member, members};

/// A report of a member that has done all that `record` asks for.
fn done(record: &Record, node_id: NodeId) -> MemberReport {
    let target = record.target().map(|t| &t.layout);
    let gains = target.map_or(0, |layout| {
        layout.partitions_of(&node_id).filter(|&p| !record.stable().holds(&node_id, p)).count()
    });
    let gains = u32::try_from(gains).unwrap();
    MemberReport {
        node_id,
        acked: Some((record.stamp(), record.id())),
        barred: record.lost_ids().collect(),
        synced: target.map(|t| Synced { id: t.id(), partitions: gains, wanted: gains }),
        handed_over: Some(record.stable().id()),
        retired: false,
        hints: 0,
    }
}

fn all_done(record: &Record) -> Reports {
    to_ask(record).map(|id| (id, Some(done(record, id)))).collect()
}

fn id(i: u8) -> NodeId {
    member(i).node_id
}

fn edit(reports: &mut Reports, i: u8) -> &mut MemberReport {
    reports.get_mut(&id(i)).unwrap().as_mut().unwrap()
}

fn written(next: Next) -> Record {
    match next {
        Next::Write(record) => *record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_change_is_driven_to_its_end() {
    let [_, mut record, ..] = change();
    let mut steps = Vec::new();
    while next(&record, &all_done(&record)) != Next::Done {
        record = written(next(&record, &all_done(&record)));
        steps.push((record.step(), record.settled()));
    }
    let expected =
        [(Step::Frozen, false), (Step::Switched, false), (Step::Committed, false), (Step::Committed, true)];
    assert_eq!(steps, expected);
}

#[test]
fn nothing_is_written_while_one_has_not_acknowledged_or_not_answered() {
    for record in &change()[1..] {
        for i in 0..4 {
            let mut reports = all_done(record);
            edit(&mut reports, i).acked = None;
            assert_eq!(next(record, &reports), Next::Tell(vec![id(i)]));

            reports.insert(id(i), None);
            let silent = Next::Wait(Waiting::Unreachable(vec![id(i)]));
            assert_eq!(next(record, &reports), silent);
            reports.remove(&id(i));
            assert_eq!(next(record, &reports), silent, "not asked is not done either");

            let mut reports = all_done(record);
            edit(&mut reports, i).node_id = NodeId([0xee; 16]);
            assert_eq!(next(record, &reports), silent, "another node answered under its name");
        }
    }
}

#[test]
fn the_freeze_waits_for_every_partition_of_exactly_this_target() {
    let [_, proposed, ..] = change();
    let mut reports = all_done(&proposed);
    let full = edit(&mut reports, 3).synced.unwrap();
    assert_eq!(full.wanted, 6);
    let waiting = |synced| Next::Wait(Waiting::Syncing { members: vec![id(3)], synced, wanted: 6 });

    edit(&mut reports, 3).synced = Some(Synced { partitions: 5, ..full });
    assert_eq!(next(&proposed, &reports), waiting(5));
    edit(&mut reports, 3).synced = Some(Synced { id: proposed.stable().id(), ..full });
    assert_eq!(next(&proposed, &reports), waiting(0));
    edit(&mut reports, 3).synced = Some(Synced { partitions: 0, wanted: 0, ..full });
    assert_eq!(next(&proposed, &reports), waiting(0), "one that has not counted yet");
    edit(&mut reports, 3).synced = Some(Synced { partitions: 8, wanted: 8, ..full });
    assert_eq!(written(next(&proposed, &reports)).step(), Step::Frozen, "it may count what it had");
}

#[test]
fn the_end_waits_for_everyone_to_hand_over() {
    let [.., committed] = change();
    let mut reports = all_done(&committed);
    edit(&mut reports, 0).handed_over = Some(committed.previous().unwrap().id());
    assert_eq!(next(&committed, &reports), Next::Wait(Waiting::HandingOver(vec![id(0)])));
}

#[test]
fn one_named_by_an_abandoned_target_only_holds_up_nothing_and_retires_in_the_end() {
    let [settled, proposed, ..] = change();
    let aborted = proposed.propose(settled.stable().members()).unwrap();
    let mut reports = all_done(&aborted);
    reports.insert(id(3), None);
    assert_eq!(written(next(&aborted, &reports)).step(), Step::Frozen);

    let mut reports = all_done(&aborted);
    edit(&mut reports, 1).acked = None;
    edit(&mut reports, 3).acked = None;
    assert_eq!(next(&aborted, &reports), Next::Tell(vec![id(1), id(3)]), "told along with the others");

    let mut record = aborted;
    while !record.settled() {
        record = written(next(&record, &all_done(&record)));
    }
    let mut reports = all_done(&record);
    assert_eq!(next(&record, &reports), Next::Retire(vec![id(3)]));
    edit(&mut reports, 3).retired = true;
    let record = written(next(&record, &reports));
    assert_eq!(record.fate(&id(3)), Some(Fate::Retired));
    assert_eq!(next(&record, &all_done(&record)), Next::Done);
}

#[test]
fn a_lost_member_is_left_out_only_when_all_others_have_barred_it() {
    let [_, _, frozen, ..] = change();
    let lost = frozen.lost(&id(1)).unwrap();
    let mut reports = all_done(&lost);
    edit(&mut reports, 2).barred.clear();
    assert_eq!(next(&lost, &reports), Next::Tell(vec![id(2)]));
    assert_eq!(written(next(&lost, &all_done(&lost))).step(), Step::Switched);
}

#[test]
fn a_target_that_names_a_lost_member_is_not_frozen() {
    let [_, proposed, ..] = change();
    let lost = proposed.lost(&id(1)).unwrap();
    assert_eq!(next(&lost, &all_done(&lost)), Next::Wait(Waiting::TargetNamesLost(vec![id(1)])));
}

#[test]
fn without_a_living_copy_nothing_pretends() {
    let mut record = fresh(3);
    for i in 0..3 {
        record = record.lost(&id(i)).unwrap();
    }
    let record = record.propose(&members(3..6)).unwrap();
    let every = record.stable().partitions().iter().collect();
    assert_eq!(next(&record, &all_done(&record)), Next::Wait(Waiting::NoLivingCopy(every)));
}

#[test]
fn waiting_reads_as_a_sentence_of_bounded_length() {
    let many = Waiting::NoLivingCopy((0..100).map(Partition).collect());
    assert_eq!(many.to_string(), "no living copy of partitions 0, 1, 2, 3, 4, 5, 6, 7 and 92 more");
}

/// What happens in a simulated cluster: a round of the driver in which some members do not answer, a delivery of the
/// register's record to one member, progress of one member, a proposal, a loss.
#[derive(Debug, Clone)]
enum Event {
    Round(Vec<bool>),
    Progress(u8),
    Propose(u8),
    Lose(u8),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let one = prop_oneof![
        12 => prop::collection::vec(prop::bool::weighted(0.85), 8).prop_map(Event::Round),
        8 => (0u8..8).prop_map(Event::Progress),
        1 => (3u8..8).prop_map(Event::Propose),
        1 => (5u8..8).prop_map(Event::Lose),
    ];
    prop::collection::vec(one, 50..250)
}

#[derive(Default, Clone)]
struct Node {
    record: Option<Record>,
    progressed: bool,
}

impl Node {
    /// Done with its work only after a `Progress` since it took the record.
    fn report(&self, node_id: NodeId) -> MemberReport {
        let Some(record) = &self.record else {
            let none = BTreeSet::new();
            return MemberReport {
                node_id,
                acked: None,
                barred: none,
                synced: None,
                handed_over: None,
                retired: false,
                hints: 0,
            };
        };
        let all = done(record, node_id);
        if self.progressed { all } else { MemberReport { synced: None, handed_over: None, ..all } }
    }
}

proptest! {
    /// Members are never more than one step apart, so two quorums formed at one time always meet: the sentence that
    /// the fence relies on.
    #[test]
    fn living_members_are_at_most_one_step_apart(events in events()) {
        let mut register = fresh(3);
        let mut nodes: BTreeMap<NodeId, Node> = (0..8).map(|i| (id(i), Node::default())).collect();
        let mut gone = BTreeSet::new();
        for i in 0..3 {
            nodes.get_mut(&id(i)).unwrap().record = Some(register.clone());
        }
        for event in events {
            match event {
                Event::Progress(i) => nodes.get_mut(&id(i)).unwrap().progressed = true,
                Event::Propose(to) => {
                    let wanted: Vec<_> = members(0..to).into_iter().filter(|m| !gone.contains(&m.node_id)).collect();
                    if let Ok(next) = register.propose(&wanted) {
                        register = next;
                    }
                }
                Event::Lose(i) => {
                    if let Ok(next) = register.lost(&id(i)) {
                        register = next;
                        gone.insert(id(i));
                    }
                }
                Event::Round(answers) => {
                    let answers = |node_id: &NodeId| answers[usize::from(node_id.0[0] - 1)];
                    let reports: Reports = to_ask(&register)
                        .map(|node_id| (node_id, answers(&node_id).then(|| nodes[&node_id].report(node_id))))
                        .collect();
                    match next(&register, &reports) {
                        Next::Write(next) => register = *next,
                        Next::Tell(ids) => for node_id in ids {
                            prop_assert!(!gone.contains(&node_id));
                            let node = nodes.get_mut(&node_id).unwrap();
                            let taken = may_take(node.record.as_ref(), &register, node_id);
                            prop_assert!(taken.is_ok(), "{:?}", taken);
                            if taken == Ok(Take::New) {
                                *node = Node { record: Some(register.clone()), progressed: false };
                            }
                        },
                        Next::Wait(_) | Next::Done | Next::Retire(_) => {}
                    }
                }
            }
            let members = register.layouts().flat_map(Layout::members).map(|m| m.node_id);
            for node_id in members.filter(|node_id| !gone.contains(node_id)) {
                // A member that the target has just named knows nothing yet, and serves nothing.
                let Some(mine) = &nodes[&node_id].record else { continue };
                if !register.stable().names(&node_id) {
                    continue;
                }
                let verdict = crate::fence::judge(&register, crate::fence::SenderStamp::of(mine));
                let replaced = register.step() == Step::Proposed && mine.step() == Step::Proposed;
                prop_assert!(
                    verdict == crate::fence::Verdict::Accept || replaced,
                    "{node_id} is at {} and the register at {}", mine.stamp(), register.stamp()
                );
            }
        }
    }
}
