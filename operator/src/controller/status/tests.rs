use super::*;
use crate::controller::model::{Operator, World};
use crate::controller::observed::Progress;
use crate::controller::plan::layout::Seed;
use crate::controller::plan::plan;

fn told(world: &World, before: &DynamoClusterStatus, now: &str) -> DynamoClusterStatus {
    told_of(world, &world.observe(), before, now)
}

fn told_of(
    world: &World,
    observed: &Observed,
    before: &DynamoClusterStatus,
    now: &str,
) -> DynamoClusterStatus {
    let desired = world.desired();
    let plan = plan(observed, &desired, &Seed { cluster_id: crate::controller::model::CLUSTER });
    status(before, &Facts { desired: &desired, observed, plan: &plan, failures: &[], now })
}

fn round(world: &mut World) -> usize {
    world.settle_objects();
    Operator::pass(world)
}

fn calm(replicas: u32) -> World {
    let mut world = World::new(replicas);
    while round(&mut world) + round(&mut world) > 0 {}
    world
}

fn holds(status: &DynamoClusterStatus, kind: Kind) -> bool {
    status.conditions.iter().any(|c| c.type_ == kind && c.status == "True")
}

#[test]
fn a_cluster_forms() {
    let mut world = World::new(3);
    let mut status = told(&world, &DynamoClusterStatus::default(), "t0");
    let mut phases = vec![status.phase];
    for pass in 0..20 {
        round(&mut world);
        status = told(&world, &status, &format!("t{pass}"));
        if phases.last() != Some(&status.phase) {
            phases.push(status.phase);
        }
    }
    assert_eq!(phases, [Phase::Pending, Phase::Forming, Phase::Ready]);
    assert_eq!((status.ready, status.members, status.members_text.as_str()), (3, 3, "3/3"));
    assert!(holds(&status, Kind::Ready) && holds(&status, Kind::StrictReads));
    assert!(!holds(&status, Kind::Degraded) && !holds(&status, Kind::Progressing));
    assert_eq!((status.epoch, status.step.as_str(), status.replicas), (1, "Committed", 3));
}

#[test]
fn lesson_10_the_status_of_a_settled_cluster_stands_still() {
    let world = calm(3);
    let first = told(&world, &DynamoClusterStatus::default(), "t1");
    let second = told(&world, &first, "t2");
    assert_eq!(first, second, "an hour later");
    let read_back: DynamoClusterStatus =
        serde_json::from_value(serde_json::to_value(&first).unwrap()).unwrap();
    assert_eq!(read_back, first, "what is written is what is read");
}

#[test]
fn growing_tells_its_story() {
    let mut world = calm(3);
    let mut status = told(&world, &DynamoClusterStatus::default(), "t0");
    world.replicas = 5;
    while world.layout.as_ref().is_none_or(|(_, record)| record.target().is_none()) {
        round(&mut world);
    }
    round(&mut world);
    round(&mut world);
    let mut observed = world.observe();
    let gain = |id: NodeId| {
        let record = world.layout.as_ref().unwrap().1.clone();
        let target = record.target().unwrap().layout.clone();
        u32::try_from(target.partitions_of(&id).filter(|p| !record.stable().holds(&id, *p)).count()).unwrap()
    };
    for pod in observed.pods.values_mut() {
        let Some(answer) = &mut pod.answer else { continue };
        let gains = gain(answer.report.node_id);
        if gains > 0 {
            answer.progress = Some(Progress {
                epoch: 2,
                partitions_wanted: gains,
                partitions_synced: 1,
                bytes_wanted: 3 << 30,
                bytes_pulled: 1 << 30,
                bytes_compared: 5,
                partitions_unsized: 0,
                left_ms: Some(7001 + u64::from(gains % 2)),
            });
        }
    }
    status = told_of(&world, &observed, &status, "t1");
    assert_eq!(status.phase, Phase::Rebalancing);
    assert_eq!(status.members_text, "3/5");
    assert_eq!(
        (status.partitions_synced, status.synced_text.as_str()),
        (2, format!("2/{}", status.partitions_to_sync).as_str())
    );
    assert_eq!(status.moved_text, "2.0GiB/6.0GiB");
    assert_eq!(status.eta, "8s");
    let joining = status.member_list.iter().filter(|m| m.state == MemberState::Joining).count();
    assert_eq!((status.member_list.len(), joining), (5, 2));

    // The figures of a member that has gone on without telling of its copying do not shrink.
    while round(&mut world) > 0 || !world.layout.as_ref().unwrap().1.settled() {
        for ordinal in 0..5 {
            world.work(ordinal);
        }
        status = told(&world, &status, "t2");
    }
    status = told(&world, &status, "t3");
    let change = status.last_change.clone().unwrap();
    assert_eq!((change.epoch, change.change.from, change.change.to), (2, 3, 5));
    assert_eq!((change.bytes_moved, change.bytes_to_move, change.bytes_compared), (2 << 30, 6 << 30, 10));
    assert_eq!(change.started_at, "t1");
    assert!(change.finished_at.is_some());
    assert_eq!((status.phase, status.moved_text.as_str(), status.partitions_to_sync), (Phase::Ready, "", 0));
    assert_eq!((status.ready, status.members), (5, 5));
}

#[test]
fn shrinking_is_over_when_pods_and_volumes_are_gone() {
    let mut world = calm(5);
    let mut status = told(&world, &DynamoClusterStatus::default(), "t0");
    world.replicas = 3;
    for pass in 0..60 {
        status = told(&world, &status, &format!("t{pass:02}"));
        if status.phase == Phase::Ready {
            assert_eq!((world.pods.len(), world.claims.len()), (3, 3), "Ready in pass {pass}");
        }
        round(&mut world);
        for ordinal in 0..5 {
            world.work(ordinal);
        }
    }
    assert_eq!(status.phase, Phase::Ready);
    let gone: Vec<_> = status.removals.iter().map(|r| (r.name.as_str(), r.fate.as_str())).collect();
    assert_eq!(gone.len(), 2);
    assert!(gone.contains(&("cart-3", "Retired")) && gone.contains(&("cart-4", "Retired")), "{gone:?}");
}

#[test]
fn a_silent_member_degrades_and_stays_a_member() {
    let mut world = calm(3);
    let ready = told(&world, &DynamoClusterStatus::default(), "t0");
    world.stop(1);
    let status = told(&world, &ready, "t1");
    assert_eq!((status.phase, status.members_text.as_str()), (Phase::Degraded, "2/3"));
    let degraded = status.conditions.iter().find(|c| c.type_ == Kind::Degraded).unwrap();
    assert_eq!((degraded.status.as_str(), degraded.message.as_str()), ("True", "no answer from cart-1"));
    assert_eq!(status.member_list[1].state, MemberState::Silent);
}

#[test]
fn what_needs_a_person_blocks_and_says_what_to_do() {
    let mut world = calm(3);
    world.layout = None;
    let status = told(&world, &DynamoClusterStatus::default(), "t0");
    assert_eq!(status.phase, Phase::Blocked);
    let invalid = status.conditions.iter().find(|c| c.type_ == Kind::Invalid).unwrap();
    assert_eq!(invalid.status, "True");
    assert!(invalid.message.contains("restore the ConfigMap"), "{}", invalid.message);
}

#[test]
fn only_the_newest_removals_are_kept_and_none_comes_back() {
    let record = |retired: u64| {
        let members = crate::controller::model::members(20);
        let mut record = crate::controller::model::settled(20);
        record = record.propose(&members[..5]).unwrap();
        record = record.freeze().unwrap().switch().unwrap().commit().unwrap().settle().unwrap();
        (6..6 + retired).fold(record, |r, id| r.retired(&crate::controller::model::node_id(id)).unwrap())
    };
    let mut status = DynamoClusterStatus::default();
    let observed = Observed::default();
    let mut turn = |count: u64, now: &str| {
        let record = record(count);
        status.removals = removals(&status, &record, now);
        status.member_list = member_list(&record, &observed, &crate::testing::desired(5));
        status.removals.clone()
    };
    let mut told = Vec::new();
    for count in 1..=13 {
        told = turn(count, &format!("t{count:02}"));
    }
    assert_eq!(
        told.iter().map(|r| r.at.as_str()).collect::<Vec<_>>(),
        ["t13", "t12", "t11", "t10", "t09", "t08", "t07", "t06", "t05", "t04",]
    );
    assert_eq!(told, turn(13, "t99"), "nothing new, nothing written");
}
