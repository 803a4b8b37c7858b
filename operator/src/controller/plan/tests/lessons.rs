//! The lessons of operators that are decided here, each by its number; `docs/operator.md` lists where the others are.

use dynamo_ring::Fate;

use super::{calm, deletes, plan_of, planned, record, replicas, rest, round};
use crate::controller::model::{CLUSTER, Node, Operator, World, node_id};
use crate::controller::observed::{LayoutSeen, Observed};
use crate::controller::plan::layout::Seed;
use crate::controller::plan::{Step, Wait, Why, plan};

#[test]
fn lesson_1_no_pod_goes_before_its_data_has_left() {
    let mut world = calm(5);
    world.replicas = 3;
    let mut lowered = Vec::new();
    for _ in 0..60 {
        let before = replicas(&world);
        round(&mut world);
        if replicas(&world) < before {
            let fates = record(&world).named().iter().filter(|n| n.fate == Fate::Retired).count();
            lowered.push((replicas(&world), fates));
        }
    }
    assert!(
        lowered.iter().all(|(replicas, retired)| 5 - *replicas <= u32::try_from(*retired).unwrap()),
        "{lowered:?}"
    );
    assert_eq!(replicas(&world), 3);
    assert_eq!(world.violations, Vec::<String>::new());
}

#[test]
fn lesson_2_could_not_ask_is_never_done() {
    let mut world = calm(5);
    world.replicas = 3;
    while !record(&world).named().iter().any(|n| n.fate == Fate::Retired) {
        round(&mut world);
    }
    world.stop(0);
    for _ in 0..10 {
        Operator::pass(&mut world);
        assert_eq!(replicas(&world), 5, "cart-0 was not asked, so nothing is lowered");
    }
    world.start(0);
    rest(&mut world);
    assert_eq!(replicas(&world), 3);
}

#[test]
fn lesson_2_a_member_that_has_already_retired_is_no_error() {
    let mut world = calm(4);
    world.replicas = 3;
    while record(&world).stable().members().len() == 4 || !record(&world).settled() {
        round(&mut world);
    }
    // It retires, and the operator dies before it has heard of it.
    let id = record(&world).named()[3].node_id;
    world.claims.get_mut(&3).unwrap().node.as_mut().unwrap().retired = true;
    assert!(!world.node(3).unwrap().may_hold_data());
    rest(&mut world);
    assert_eq!(record(&world).fate(&id), Some(Fate::Retired));
    assert_eq!((replicas(&world), world.claims.len()), (3, 3));
}

#[test]
fn lesson_3_down_then_up_in_mid_move_is_keyed_by_node_id() {
    let mut world = calm(5);
    world.replicas = 3;
    while record(&world).target().is_none() {
        round(&mut world);
    }
    let target = record(&world).id();
    world.replicas = 5;
    rest(&mut world);
    let record = record(&world);
    assert_eq!(record.stable().members().len(), 5);
    assert!(record.stable().epoch() > target.epoch, "the change of mind took an epoch of its own");
    assert_eq!(record.named().len(), 5, "the same nodes, not new ones");
    assert_eq!(world.violations, Vec::<String>::new());
}

#[test]
fn lesson_4_a_returning_ordinal_is_a_new_member() {
    let mut world = calm(4);
    let old = record(&world).named()[3].node_id;
    world.replicas = 3;
    // Retired, and not yet removed: a person wants it back.
    while record(&world).fate(&old) != Some(Fate::Retired) {
        round(&mut world);
    }
    world.replicas = 4;
    let restart = planned(&world).steps.into_iter().find_map(|step| match step {
        Step::Restart { ordinal, why, .. } => Some((ordinal, why)),
        _ => None,
    });
    assert_eq!(restart, Some((3, Why::Retired)));
    rest(&mut world);
    let names: Vec<_> =
        record(&world).named().iter().filter(|n| n.name == "cart-3").map(|n| n.fate).collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&Fate::Retired) && names.contains(&Fate::Active));
    assert!(!record(&world).stable().names(&old));
}

#[test]
fn lesson_5_a_stale_view_deletes_no_volume() {
    let mut world = calm(4);
    world.replicas = 3;
    let stale = loop {
        round(&mut world);
        world.settle_objects();
        let plan = planned(&world);
        if deletes(&plan) {
            break plan;
        }
    };
    // While that sleeps, the ordinal returns on the same volume and joins.
    world.replicas = 4;
    rest(&mut world);
    assert!(world.node(3).unwrap().may_hold_data());
    for step in stale.steps {
        world.carry_out(step);
    }
    assert!(world.claims.contains_key(&3) && !world.claims[&3].terminating);
    assert_eq!(world.violations, Vec::<String>::new());
}

#[test]
fn lesson_12_a_step_that_waits_holds_up_no_other() {
    let mut world = calm(4);
    world.replicas = 3;
    while record(&world).fate(&world.node(3).unwrap().id) != Some(Fate::Retired) {
        round(&mut world);
    }
    rest(&mut world);
    // A new change waits for a member that is down; the volume that is left goes all the same.
    let version = crate::controller::observed::Version { uid: "left".into(), resource_version: "1".into() };
    let noted = record(&world).named()[3].node_id;
    let left =
        crate::controller::model::Claim { version, noted: Some(noted), terminating: false, node: None };
    world.claims.insert(3, left);
    world.stop(1);
    let plan = planned(&world);
    assert!(plan.waits.iter().any(|wait| matches!(wait, Wait::Change(_))), "{:?}", plan.waits);
    assert!(deletes(&plan), "{:?}", plan.steps);
}

#[test]
fn nothing_is_touched_without_the_layout_record() {
    let mut world = calm(3);
    world.replicas = 5;
    let mut observed = world.observe();
    observed.layout = LayoutSeen::Unusable("damaged".into());
    let plan = plan_of(&world, &observed);
    assert_eq!(plan.steps, vec![]);
    assert_eq!(plan.waits, vec![Wait::LayoutUnusable("damaged".into())]);
}

#[test]
fn a_layout_that_was_deleted_is_not_made_anew() {
    let mut world = calm(3);
    world.layout = None;
    for silent in [vec![], vec![0], vec![0, 1, 2]] {
        for ordinal in silent {
            world.stop(ordinal);
        }
        let plan = planned(&world);
        assert!(!plan.steps.iter().any(|step| matches!(step, Step::CreateLayout(_))), "{:?}", plan.steps);
        assert!(plan.waits.iter().any(|wait| matches!(wait, Wait::LayoutMissing(_))), "{:?}", plan.waits);
    }
    world.replicas = 3;
    world.statefulset.as_mut().unwrap().replicas = 5;
    assert!(
        !planned(&world)
            .steps
            .iter()
            .any(|step| matches!(step, Step::ApplyStatefulSet { claims, .. } if claims.replicas < 5))
    );
}

#[test]
fn a_cluster_that_is_made_again_finds_its_data() {
    let mut world = calm(4);
    let before = record(&world).clone();
    world.delete_statefulset();
    world.replicas = 3;
    let create = planned(&world).steps;
    assert!(matches!(&create[0], Step::CreateStatefulSet(claims) if claims.replicas == 4), "{create:?}");
    rest(&mut world);
    assert_eq!(record(&world).cluster_id(), before.cluster_id());
    assert_eq!(record(&world).stable().members().len(), 3);
    assert_eq!(record(&world).named().len(), 4, "no new node was needed");
    assert_eq!(world.violations, Vec::<String>::new());
}

#[test]
fn a_wiped_volume_is_a_loss_and_is_replaced() {
    let mut world = calm(3);
    let lost = world.node(1).unwrap().id;
    world.delete_claim(1);
    world.remove_pod(1);
    rest(&mut world);
    let record = record(&world);
    assert_eq!(record.fate(&lost), Some(Fate::Lost));
    assert!(!record.stable().names(&lost));
    assert_eq!(record.stable().members().len(), 3);
    assert_eq!(world.violations, Vec::<String>::new());
}

#[test]
fn a_node_that_answers_is_refused_as_lost() {
    let mut world = calm(3);
    let alive = world.node(2).unwrap().id;
    world.lost = vec![alive, node_id(77)];
    let plan = planned(&world);
    assert_eq!(plan.steps, vec![]);
    assert_eq!(plan.waits, vec![Wait::LostStillAnswer(vec![alive])], "an unknown id is ignored");
    world.stop(2);
    Operator::pass(&mut world);
    assert_eq!(record(&world).fate(&alive), Some(Fate::Lost));
}

#[test]
fn a_volume_of_another_life_joins_nothing() {
    let mut world = calm(3);
    world.replicas = 4;
    while !world.pods.contains_key(&3) {
        round(&mut world);
        if replicas(&world) == 4 {
            world.settle_objects();
        }
        let mut stranger = Node::new(node_id(999));
        stranger.holds.insert(dynamo_ring::Partition(0));
        if let Some(claim) = world.claims.get_mut(&3) {
            claim.node = Some(stranger);
        }
    }
    let plan = planned(&world);
    assert!(plan.waits.contains(&Wait::UnknownData(vec!["cart-3".into()])), "{:?}", plan.waits);
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::ReplaceLayout { .. })), "{:?}", plan.steps);
}

#[test]
fn growing_waits_for_all_that_may_come_and_not_for_ever() {
    let mut world = calm(3);
    world.replicas = 5;
    Operator::pass(&mut world);
    world.settle_objects();
    world.stop(4);
    Operator::pass(&mut world);
    assert!(record(&world).target().is_none(), "cart-4 is new and may come yet");
    world.grow_old();
    Operator::pass(&mut world);
    let target = record(&world).target().unwrap();
    assert_eq!(target.layout.members().len(), 4, "cart-3 does not wait for it any longer");
}

#[test]
fn a_weight_that_changes_is_a_change_of_layout_of_its_own() {
    let mut world = calm(4);
    let before = record(&world).stable().clone();
    world.weights.insert(2, 2);
    world.weights.insert(9, 5);
    rest(&mut world);
    let after = record(&world).stable().clone();
    assert!(after.epoch() > before.epoch());
    let names = |layout: &dynamo_ring::Layout| layout.members().iter().map(|m| m.node_id).collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after));
    let held = |o: usize| after.partitions_of(&after.members()[o].node_id).count();
    assert_eq!(held(2), 16, "two fifths of 48 replicas would be more than every partition once");
    assert_eq!(held(0) + held(1) + held(3), 32);
    rest(&mut world);
    assert_eq!(*record(&world).stable(), after, "and it stays so");
    world.weights.clear();
    rest(&mut world);
    let even = record(&world).stable();
    assert!(even.members().iter().all(|m| even.partitions_of(&m.node_id).count() == 12), "{even:?}");
    assert_eq!(world.violations, Vec::<String>::new());
}

#[test]
fn a_broken_image_is_cured_in_mid_change_and_a_ready_member_waits_for_its_end() {
    let mut world = calm(3);
    world.replicas = 4;
    while record(&world).target().is_none() {
        round(&mut world);
    }
    let restarted = |observed: &Observed| {
        plan_of(&world, observed).steps.into_iter().find_map(|step| match step {
            Step::Restart { ordinal, why: Why::Template, .. } => Some(ordinal),
            _ => None,
        })
    };
    let mut observed = world.observe();
    observed.statefulset.as_mut().unwrap().update_revision = Some("2".into());
    for pod in observed.pods.values_mut() {
        pod.ready = true;
    }
    assert_eq!(restarted(&observed), None, "everyone is Ready and a change is under way");
    observed.pods.get_mut(&1).unwrap().ready = false;
    assert_eq!(restarted(&observed), Some(1));
    observed.pods.get_mut(&2).unwrap().terminating = true;
    assert_eq!(restarted(&observed), None, "one at a time");
}

#[test]
fn a_new_image_restarts_one_ready_member_at_a_time() {
    let world = calm(3);
    let mut observed = world.observe();
    observed.statefulset.as_mut().unwrap().update_revision = Some("2".into());
    let plan = plan_of(&world, &observed);
    let restarts: Vec<_> = plan.steps.iter().filter(|step| matches!(step, Step::Restart { .. })).collect();
    assert!(
        matches!(restarts.as_slice(), [Step::Restart { ordinal: 2, why: Why::Template, .. }]),
        "{restarts:?}"
    );
    observed.pods.get_mut(&0).unwrap().answer = None;
    assert!(!plan_of(&world, &observed).steps.iter().any(|step| matches!(step, Step::Restart { .. })));
}

#[test]
fn a_limit_is_told_to_members_that_run_and_restarts_nobody() {
    let mut world = calm(3);
    let mut desired = world.desired();
    desired.rebalance_bytes_per_second = 1 << 20;
    let steps = |observed: &Observed| plan(observed, &desired, &Seed { cluster_id: CLUSTER }).steps;
    let told = steps(&world.observe());
    let paces = |step: &Step| matches!(step, Step::SetPace { bytes_per_second: 0x0010_0000, .. });
    assert!(told.len() == 3 && told.iter().all(paces), "{told:?}");
    let mut observed = world.observe();
    observed.pods.get_mut(&1).unwrap().answer = None;
    assert_eq!(steps(&observed).iter().filter(|step| paces(step)).count(), 2, "one cannot be asked");
    for step in told {
        assert!(world.carry_out(step));
    }
    assert_eq!(steps(&world.observe()), Vec::new(), "all go by it");
}

#[test]
fn with_zones_a_pod_is_added_when_the_one_before_has_its_place() {
    let world = World::new(5);
    let mut desired = world.desired();
    desired.spread_zones = true;
    let wanted =
        |observed: &Observed| match plan(observed, &desired, &Seed { cluster_id: CLUSTER }).steps.first() {
            Some(Step::CreateStatefulSet(claims) | Step::ApplyStatefulSet { claims, .. }) => {
                Some(claims.replicas)
            }
            _ => None,
        };
    let mut standing = calm(3);
    standing.replicas = 5;
    assert_eq!(wanted(&world.observe()), Some(1));
    let mut observed = standing.observe();
    assert_eq!(wanted(&observed), Some(4));
    observed.pods.get_mut(&1).unwrap().bound = false;
    assert_eq!(wanted(&observed), None, "one that loses its place takes no other with it");
}
