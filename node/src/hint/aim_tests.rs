//! Every case of a hint, with its exact aim.

use std::collections::BTreeSet;

use dynamo_ring::{Partition, Record, Step};

use super::*;
use crate::layout::state::tests::{fresh, member_id, members, standing};

fn aim_of(standing: &Standing, target: u8, partition: Partition, down: &[u8]) -> Aim {
    let up = |node| !down.iter().any(|i| member_id(*i) == node);
    aim(standing, leaves(standing), member_id(target), partition, up)
}

fn partition(record: &Record, place: impl Fn(Partition) -> bool) -> Partition {
    record.stable().partitions().iter().find(|p| place(*p)).unwrap()
}

fn ids<const N: usize>(members: [u8; N]) -> BTreeSet<NodeId> {
    members.map(member_id).into()
}

#[test]
fn a_holder_that_is_up_gets_it_and_one_that_is_down_is_waited_for() {
    let record = fresh(4);
    let p = partition(&record, |p| !record.stable().holds(&member_id(3), p));
    let me = standing(3, &record);
    assert_eq!(aim_of(&me, 0, p, &[1, 2]), Aim::Deliver { also: vec![] });
    assert_eq!(aim_of(&me, 0, p, &[0]), Aim::Stay);
}

#[test]
fn who_does_not_hold_the_key_is_replaced_by_all_that_do() {
    let record = fresh(4);
    let p = partition(&record, |p| !record.stable().holds(&member_id(3), p));
    for down in [&[][..], &[3], &[0, 1, 2, 3]] {
        let Aim::Owe(others) = aim_of(&standing(0, &record), 3, p, down) else { panic!("{down:?}") };
        assert_eq!(
            BTreeSet::from_iter(others),
            ids([1, 2]),
            "whether they are up or not, and never this node"
        );
    }
    // Of a node that nobody has ever heard of, and of this node itself.
    assert!(matches!(aim_of(&standing(0, &record), 9, p, &[]), Aim::Owe(others) if others.len() == 2));
    assert_eq!(aim_of(&standing(0, &record), 0, p, &[]), Aim::Settled);
}

#[test]
fn what_is_owed_to_a_lost_member_is_owed_to_the_living() {
    let record = fresh(4).lost(&member_id(0)).unwrap();
    let held_by_both =
        |p| record.stable().holds(&member_id(0), p) && !record.stable().holds(&member_id(3), p);
    let p = partition(&record, held_by_both);
    let Aim::Owe(others) = aim_of(&standing(3, &record), 0, p, &[]) else {
        panic!("a lost member is not waited for")
    };
    assert_eq!(BTreeSet::from_iter(others), ids([1, 2]));
}

#[test]
fn during_a_change_those_that_only_the_target_has_are_owed_it_too_but_never_in_a_circle() {
    // Three new members take twelve copies of eight partitions, so somewhere two of them stand side by side.
    let record = fresh(3).propose(&members(0..6)).unwrap();
    let target = &record.target().unwrap().layout;
    let new = |p| -> Vec<u8> { (3..6).filter(|i| target.holds(&member_id(*i), p)).collect() };
    let p = partition(&record, |p| new(p).len() >= 2);
    let me = standing(1, &record);
    let added: Vec<NodeId> = target
        .holders(p)
        .map(|m| m.node_id)
        .filter(|id| new(p).iter().any(|i| member_id(*i) == *id))
        .collect();
    assert_eq!(aim_of(&me, 0, p, &[]), Aim::Deliver { also: added });
    for i in new(p) {
        assert_eq!(aim_of(&me, i, p, &[]), Aim::Deliver { also: vec![] });
    }
    let settled = fresh(3);
    assert_eq!(aim_of(&standing(1, &settled), 0, p, &[]), Aim::Deliver { also: vec![] });
}

#[test]
fn who_leaves_passes_on_once_a_write_quorum_can_take_it() {
    let record = fresh(4).propose(&members(0..3)).unwrap().freeze().unwrap().switch().unwrap();
    let before = standing(3, &record);
    let p = partition(&record, |p| !record.stable().holds(&member_id(3), p));
    assert_eq!(aim_of(&before, 0, p, &[0]), Aim::Stay, "nobody leaves before the commit");

    let me = standing(3, &record.commit().unwrap());
    assert_eq!(me.record.step(), Step::Committed);
    assert_eq!(aim_of(&me, 0, p, &[]), Aim::Deliver { also: vec![] });
    let Aim::PassOn(to) = aim_of(&me, 0, p, &[0]) else { panic!("two are a write quorum") };
    assert_eq!(BTreeSet::from_iter(to), ids([1, 2]));
    assert_eq!(aim_of(&me, 0, p, &[0, 1]), Aim::Stay, "one copy is fewer than W");
    let early = Standing { acked: false, ..me };
    assert_eq!(aim_of(&early, 0, p, &[0]), Aim::Stay, "older requests may still make hints");
}
