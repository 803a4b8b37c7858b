//! A living member begins anew on another volume: the others hold what it held before it goes, throughout.

use dynamo_ring::{Fate, Step as Phase};

use super::{calm, planned, record, replicas, rest, round};
use crate::controller::model::{Operator, World, node_id};
use crate::controller::plan::{Step, Wait};

/// Node ids of the stable layout, by ordinal.
fn ordinals(world: &World) -> Vec<String> {
    record(world).stable().members().iter().map(|member| member.name.clone()).collect()
}

fn restarts(world: &World) -> bool {
    planned(world).steps.iter().any(|step| matches!(step, Step::Restart { .. }))
}

#[test]
fn one_of_only_n_members_gets_a_stand_in_first_and_another_volume_last() {
    let mut world = calm(3);
    let old = world.node(1).unwrap().id;
    let claim = world.claims[&1].version.uid.clone();
    world.replaced = vec![old];
    let mut most = 0;
    while record(&world).fate(&old) == Some(Fate::Active) {
        round(&mut world);
        most = most.max(replicas(&world));
        assert!(record(&world).layouts().all(|layout| layout.members().len() >= 3));
        assert!(replicas(&world) == 4 || record(&world).layouts().all(|layout| layout.names(&old)));
    }
    assert_eq!(ordinals(&world), ["cart-0", "cart-2", "cart-3"]);
    rest(&mut world);
    assert_eq!((most, replicas(&world)), (4, 3), "the stand-in has gone again");
    assert_eq!(ordinals(&world), ["cart-0", "cart-1", "cart-2"]);
    assert_eq!(record(&world).fate(&old), Some(Fate::Retired));
    assert_ne!(world.node(1).unwrap().id, old);
    assert_ne!(world.claims[&1].version.uid, claim, "it is another volume");
    assert_eq!(world.claims.len(), 3, "the stand-in's volume has gone too");
    assert_eq!(world.violations, Vec::<String>::new());
}

#[test]
fn among_more_than_n_members_no_stand_in_is_needed() {
    let mut world = calm(5);
    let old = world.node(4).unwrap().id;
    world.replaced = vec![old];
    while record(&world).fate(&old) == Some(Fate::Active) {
        round(&mut world);
        assert_eq!(replicas(&world), 5);
    }
    rest(&mut world);
    assert_eq!((replicas(&world), record(&world).stable().members().len()), (5, 5));
    assert!(!record(&world).stable().names(&old));
}

#[test]
fn several_are_replaced_one_after_another() {
    let mut world = calm(4);
    let old: Vec<_> = [2, 0].map(|ordinal| world.node(ordinal).unwrap().id).to_vec();
    world.replaced.clone_from(&old);
    for _ in 0..200 {
        round(&mut world);
        let missing = old.iter().filter(|id| !record(&world).current().names(id)).count();
        assert!(record(&world).current().members().len() >= 3, "{missing}");
    }
    assert!(old.iter().all(|id| record(&world).fate(id) == Some(Fate::Retired)));
    assert_eq!(ordinals(&world), ["cart-0", "cart-1", "cart-2", "cart-3"]);
    assert!(record(&world).settled());
    assert_eq!(world.violations, Vec::<String>::new());
}

#[test]
fn its_pod_waits_for_its_volume_to_go() {
    let mut world = calm(4);
    let old = world.node(2).unwrap().id;
    world.replaced = vec![old];
    while record(&world).fate(&old) == Some(Fate::Active) {
        round(&mut world);
    }
    assert!(!world.claims[&2].terminating);
    assert!(!restarts(&world), "it would start on the same volume again");
    Operator::pass(&mut world);
    assert!(world.claims[&2].terminating);
    assert!(restarts(&world));
}

#[test]
fn one_that_crashes_over_the_old_volume_joins_nothing_there() {
    let mut world = calm(4);
    let old = world.node(2).unwrap().id;
    world.replaced = vec![old];
    while record(&world).fate(&old) == Some(Fate::Active) {
        round(&mut world);
    }
    world.stop(2);
    world.start(2);
    let passing = world.node(2).unwrap().id;
    assert_ne!(passing, old);
    rest(&mut world);
    assert_eq!(record(&world).fate(&passing), None, "a volume that goes takes no member with it");
    assert_eq!(record(&world).stable().members().len(), 4);
}

#[test]
fn a_change_of_mind_before_the_freeze_keeps_it() {
    let mut world = calm(3);
    let old = world.node(0).unwrap().id;
    world.replaced = vec![old];
    while record(&world).step() != Phase::Proposed {
        round(&mut world);
    }
    assert!(!record(&world).current().names(&old));
    world.replaced.clear();
    rest(&mut world);
    assert_eq!(record(&world).fate(&old), Some(Fate::Active));
    assert_eq!(ordinals(&world), ["cart-0", "cart-1", "cart-2"]);
    assert_eq!((replicas(&world), world.claims.len()), (3, 3), "the stand-in has retired");
    assert_eq!(world.violations, Vec::<String>::new());
}

#[test]
fn a_stand_in_over_the_directory_of_one_that_retired_begins_anew() {
    let mut world = calm(4);
    let retired = world.node(3).unwrap().id;
    world.replicas = 3;
    while record(&world).fate(&retired) != Some(Fate::Retired) {
        round(&mut world);
    }
    world.replaced = vec![world.node(0).unwrap().id];
    rest(&mut world);
    assert_eq!(record(&world).fate(&world.replaced[0]), Some(Fate::Retired));
    assert_eq!((replicas(&world), ordinals(&world).len()), (3, 3));
}

#[test]
fn without_its_stand_in_nobody_is_replaced() {
    let mut world = calm(3);
    world.replaced = vec![world.node(1).unwrap().id, node_id(77)];
    Operator::pass(&mut world);
    world.settle_objects();
    world.stop(3);
    world.grow_old();
    let plan = planned(&world);
    assert!(plan.waits.contains(&Wait::NotUp(vec!["cart-3".into()])), "{:?}", plan.waits);
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::ReplaceLayout { .. })), "{:?}", plan.steps);
}
