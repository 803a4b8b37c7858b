use proptest::prelude::*;

use super::*;
use crate::{Member, Partitions, plan};

pub(crate) fn member(i: u8) -> Member {
    Member {
        name: format!("cart-{i}"),
        node_id: NodeId([i + 1; 16]),
        zone: String::new(),
        address: format!("cart-{i}.cart:7000"),
        weight: 1,
    }
}

pub(crate) fn members(range: std::ops::Range<u8>) -> Vec<Member> {
    range.map(member).collect()
}

pub(crate) const QUORUM: Quorum = Quorum { n: 3, r: 2, w: 2 };

pub(crate) fn fresh(count: u8) -> Record {
    let q = Partitions::new(8).unwrap();
    Record::first(plan::first(&members(0..count), q, 3, ClusterId([7; 16])).unwrap(), QUORUM).unwrap()
}

/// 3 -> 4 members, at each step of the change.
pub(crate) fn change() -> [Record; 5] {
    let settled = fresh(3);
    let proposed = settled.propose(&members(0..4)).unwrap();
    let frozen = proposed.freeze().unwrap();
    let switched = frozen.switch().unwrap();
    let committed = switched.commit().unwrap();
    [settled, proposed, frozen, switched, committed]
}

#[test]
fn a_change_runs_through_its_steps() {
    let [settled, proposed, frozen, switched, committed] = change();
    assert!(settled.settled() && settled.target().is_none());
    assert_eq!(proposed.stamp(), Stamp { epoch: 2, step: Step::Proposed });
    assert_eq!(proposed.stable(), settled.stable());
    assert!(settled.stamp() < proposed.stamp() && proposed.stamp() < frozen.stamp());
    assert!(frozen.stamp() < switched.stamp() && switched.stamp() < committed.stamp());
    assert_eq!(proposed.id(), committed.id(), "the same layout is named throughout");
    assert_eq!(committed.previous(), Some(settled.stable()));
    assert!(!committed.settled());
    let after = committed.settle().unwrap();
    assert!(after.settled());
    assert_eq!(after.stamp(), committed.stamp());
}

#[test]
fn each_step_leads_to_its_successor_only() {
    let wrong = |result: Result<Record, TransitionRefused>| {
        assert!(matches!(result, Err(TransitionRefused::WrongStep { .. })));
    };
    let [settled, proposed, frozen, switched, committed] = change();
    for record in [&settled, &frozen, &switched, &committed] {
        wrong(record.freeze());
    }
    for record in [&settled, &proposed, &switched, &committed] {
        wrong(record.switch());
    }
    for record in [&settled, &proposed, &frozen, &committed] {
        wrong(record.commit());
    }
    for record in [&proposed, &frozen, &switched] {
        wrong(record.settle());
    }
    for record in [&frozen, &switched, &committed] {
        let refused = record.propose(&members(0..5)).unwrap_err();
        assert_eq!(refused, TransitionRefused::ChangeUnderWay(record.step()));
    }
}

#[test]
fn a_target_is_replaced_until_the_freeze() {
    let [settled, proposed, ..] = change();
    let replaced = proposed.propose(&members(0..5)).unwrap();
    let target = replaced.target().unwrap();
    assert_eq!(target.replaces, Some(proposed.id()));
    assert_eq!((target.layout.epoch(), replaced.highest_epoch()), (3, 3));

    let aborted = replaced.propose(settled.stable().members()).unwrap();
    let target = aborted.target().unwrap();
    assert_eq!(target.replaces, Some(replaced.id()));
    assert!(plan::moves(settled.stable(), &target.layout).is_empty());
    assert_eq!(aborted.fate(&member(4).node_id), Some(Fate::Active), "it may hold data, so it stays named");
    assert_eq!(aborted.propose(settled.stable().members()), Err(TransitionRefused::Unchanged));
    assert_eq!(settled.propose(settled.stable().members()), Err(TransitionRefused::Unchanged));
}

#[test]
fn retired_and_lost_nodes_are_never_named_again() {
    let [settled, proposed, ..] = change();
    let id = member(3).node_id;
    assert_eq!(proposed.retired(&id), Err(TransitionRefused::StillNamed(id)));
    assert_eq!(settled.lost(&id), Err(TransitionRefused::NeverNamed(id)));

    let aborted = proposed.propose(settled.stable().members()).unwrap();
    let retired = aborted.retired(&id).unwrap();
    let barred = |fate| Err(TransitionRefused::Barred { node_id: id, fate });
    assert_eq!(retired.propose(&members(0..4)), barred(Fate::Retired));
    assert_eq!(retired.lost(&id), barred(Fate::Retired), "one fate");

    let lost = proposed.lost(&id).unwrap();
    assert_eq!(lost.lost_ids().collect::<Vec<_>>(), [id]);
    assert_eq!(lost.lost(&id).unwrap(), lost);
    assert_eq!(lost.propose(&members(0..5)), barred(Fate::Lost));
}

#[test]
fn the_document_reads_back_and_can_be_read() {
    for record in change() {
        let json = record.to_json();
        assert_eq!(Record::from_json(&json).unwrap(), record);
        assert!(json.starts_with("{\n  \"version\": 1,\n  \"cluster_id\": \"0707"), "{json}");
        assert!(json.contains("\n      [0, 1, 2]"), "a row is a line: {json}");
    }
}

#[test]
fn the_largest_record_fits_a_config_map() {
    let q = Partitions::new(4096).unwrap();
    let layout = plan::first(&members(0..64), q, 3, ClusterId([7; 16])).unwrap();
    let record = Record::first(layout, QUORUM).unwrap().propose(&members(0..63)).unwrap();
    let size = record.to_json().len();
    assert!(size < 256 * 1024, "{size} bytes of the 1 MiB that a ConfigMap may have");
}

#[test]
fn a_broken_document_is_refused_with_its_fault() {
    let [settled, proposed, _, _, committed] = change();
    let edit = |record: &Record, change: &dyn Fn(&mut serde_json::Value)| {
        let mut json = serde_json::to_value(record).unwrap();
        change(&mut json);
        Record::from_json(&json.to_string()).unwrap_err()
    };
    assert_eq!(edit(&settled, &|j| j["version"] = 2.into()), RecordError::Version(2));
    assert_eq!(edit(&settled, &|j| j["step"] = "Frozen".into()), RecordError::Step(Step::Frozen));
    assert_eq!(edit(&proposed, &|j| j["step"] = "Committed".into()), RecordError::Step(Step::Committed));
    assert_eq!(edit(&proposed, &|j| j["highest_epoch"] = 1.into()), RecordError::Epochs);
    assert!(matches!(edit(&settled, &|j| j["quorum"]["w"] = 4.into()), RecordError::Quorum { .. }));
    assert!(matches!(edit(&settled, &|j| j["quorum"]["r"] = 0.into()), RecordError::Quorum { .. }));
    let other = serde_json::to_value(ClusterId([8; 16])).unwrap();
    assert!(matches!(edit(&settled, &|j| j["cluster_id"] = other.clone()), RecordError::Cluster { .. }));
    let gone = edit(&proposed, &|j| {
        j["named"].as_array_mut().unwrap().pop();
    });
    assert_eq!(gone, RecordError::Unnamed(member(3).node_id));
    let retired = edit(&proposed, &|j| j["named"][0]["fate"] = "Retired".into());
    assert_eq!(retired, RecordError::Retired(member(0).node_id));
    let with_previous = serde_json::to_value(committed.previous()).unwrap();
    assert_eq!(
        edit(&proposed, &|j| j["previous"] = with_previous.clone()),
        RecordError::Previous(Step::Proposed)
    );
    assert!(matches!(edit(&settled, &|j| j["surprise"] = 1.into()), RecordError::Unreadable(_)));
    let broken_row = edit(&settled, &|j| j["stable"]["table"][0] = vec![0, 0, 1].into());
    assert!(broken_row.to_string().contains("partition 0 names member number 0 twice"), "{broken_row}");
}

/// What an operator that may be stale tries.
#[derive(Debug, Clone)]
enum Try {
    Propose(u8, u8),
    Freeze,
    Switch,
    Commit,
    Settle,
    Retired(u8),
    Lost(u8),
    /// Read the register again.
    Refresh,
}

fn tries() -> impl Strategy<Value = Vec<(usize, Try)>> {
    let one = prop_oneof![
        3 => (0u8..4, 4u8..9).prop_map(|(from, to)| Try::Propose(from, to)),
        2 => Just(Try::Freeze),
        2 => Just(Try::Switch),
        2 => Just(Try::Commit),
        2 => Just(Try::Settle),
        1 => (0u8..9).prop_map(Try::Retired),
        1 => (4u8..9).prop_map(Try::Lost),
        3 => Just(Try::Refresh),
    ];
    prop::collection::vec((0usize..3, one), 1..60)
}

proptest! {
    /// Several operators, some of them stale, on one register with compare-and-swap.
    #[test]
    fn no_epoch_ever_has_two_layouts(tries in tries()) {
        let mut register = (0u64, fresh(4));
        let mut seen = vec![register.clone(); 3];
        let mut named = std::collections::BTreeMap::new();
        for (operator, attempt) in tries {
            let (version, record) = &seen[operator];
            let next = match attempt {
                Try::Propose(from, to) => record.propose(&members(from..to)),
                Try::Freeze => record.freeze(),
                Try::Switch => record.switch(),
                Try::Commit => record.commit(),
                Try::Settle => record.settle(),
                Try::Retired(i) => record.retired(&member(i).node_id),
                Try::Lost(i) => record.lost(&member(i).node_id),
                Try::Refresh => {
                    seen[operator] = register.clone();
                    continue;
                }
            };
            let Ok(next) = next else { continue };
            prop_assert_eq!(Record::from_json(&next.to_json()), Ok(next.clone()), "every rule holds");
            if *version != register.0 {
                continue;
            }
            let before = std::mem::replace(&mut register, (version + 1, next)).1;
            let after = &register.1;
            prop_assert!(before.stamp() <= after.stamp());
            for layout in after.layouts() {
                let id = *named.entry(layout.epoch()).or_insert(layout.id());
                prop_assert_eq!(id, layout.id());
            }
            for node in before.named() {
                let fate = after.fate(&node.node_id);
                prop_assert!(fate == Some(node.fate) || node.fate == Fate::Active && fate.is_some());
            }
            seen[operator] = register.clone();
        }
    }
}
