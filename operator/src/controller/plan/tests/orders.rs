//! No order of scaling, crashes, stale views, two operators, and a StatefulSet deleted in mid-drain removes a pod or a
//! volume without proof, makes a second layout at an epoch, or leaves a partition without its copies; and when calm
//! returns, the cluster gets where the spec wants it.

use dynamo_ring::Fate;
use proptest::prelude::*;

use crate::controller::model::{Operator, World};

#[derive(Debug, Clone)]
enum Event {
    Operator(usize),
    Pass,
    Round,
    Objects,
    Scale(u32),
    Stop(u32),
    Start(u32),
    KillPod(u32),
    Work(u32),
    Time,
    DeleteStatefulSet,
    LoseVolume(u32),
    Replace(u32),
}

fn event() -> impl Strategy<Value = Event> {
    let ordinal = 0..6_u32;
    prop_oneof![
        40 => (0..2_usize).prop_map(Event::Operator),
        15 => Just(Event::Pass),
        25 => Just(Event::Round),
        10 => Just(Event::Objects),
        3 => (3..6_u32).prop_map(Event::Scale),
        2 => ordinal.clone().prop_map(Event::Stop),
        6 => ordinal.clone().prop_map(Event::Start),
        2 => ordinal.clone().prop_map(Event::KillPod),
        20 => ordinal.prop_map(Event::Work),
        2 => Just(Event::Time),
        1 => Just(Event::DeleteStatefulSet),
        1 => (0..6_u32).prop_map(Event::LoseVolume),
        2 => (0..6_u32).prop_map(Event::Replace),
    ]
}

/// All members run, the StatefulSet controller keeps up, one operator works; says how many steps it took.
fn round(world: &mut World) -> usize {
    world.settle_objects();
    for ordinal in 0..8 {
        if world.pods.get(&ordinal).is_some_and(|pod| !pod.up) {
            world.start(ordinal);
        }
        world.work(ordinal);
    }
    Operator::pass(world)
}

/// Until nothing is left to do.
fn calm_down(world: &mut World) {
    for _ in 0..200 {
        world.grow_old();
        if round(world) == 0 && round(world) == 0 {
            return;
        }
    }
    let record = world.layout.as_ref().map(|(_, record)| record);
    let claims: Vec<String> =
        world.claims.iter().map(|(ordinal, claim)| format!("{ordinal}: {claim:?}")).collect();
    panic!("no end: {record:?}\n{}", claims.join("\n"));
}

fn assert_whole(world: &World) {
    let (_, record) = world.layout.as_ref().expect("a layout");
    assert!(record.settled(), "{record:?}");
    assert_eq!(record.stable().members().len(), usize::try_from(world.replicas).unwrap());
    assert_eq!(
        world.statefulset.as_ref().map(|set| set.replicas),
        Some(world.replicas),
        "{:?}",
        record.named()
    );
    // Volumes of retired members are gone. One whose member was lost stays, for a person to look at.
    for (ordinal, claim) in world.claims.range(world.replicas..) {
        let name = format!("cart-{ordinal}");
        let retired = record.named().iter().any(|named| named.name == name && named.fate == Fate::Retired);
        let lost = claim.noted.is_some_and(|id| record.fate(&id) == Some(Fate::Lost));
        assert!(lost || !retired, "the volume of {name} is still there: {claim:?} {:?}", record.named());
    }
    // Whoever was to begin anew has, or was never named.
    for id in &world.replaced {
        assert_ne!(record.fate(id), Some(Fate::Active), "{id} was to be replaced: {:?}", record.named());
    }
    for partition in record.stable().partitions().iter() {
        for holder in record.stable().holders(partition) {
            let node = world.claims.values().filter_map(|c| c.node.as_ref()).find(|n| n.id == holder.node_id);
            assert!(
                node.is_some_and(|n| n.holds.contains(&partition)),
                "{partition} is not on {}",
                holder.name
            );
        }
    }
}

fn play(events: &[Event]) {
    let mut world = World::new(3);
    let mut operators = [Operator::default(), Operator::default()];
    // A second volume might take the last copy of a partition with it.
    let mut lost = false;
    for event in events {
        match *event {
            Event::Operator(which) => operators[which].proceed(&mut world),
            Event::Pass => {
                Operator::pass(&mut world);
            }
            Event::Round => {
                round(&mut world);
            }
            Event::Objects => world.settle_objects(),
            Event::Scale(replicas) => world.replicas = replicas,
            Event::Stop(ordinal) => world.stop(ordinal),
            Event::Start(ordinal) => world.start(ordinal),
            Event::KillPod(ordinal) => world.remove_pod(ordinal),
            Event::Work(ordinal) => world.work(ordinal),
            Event::Time => world.grow_old(),
            Event::DeleteStatefulSet => world.delete_statefulset(),
            // Whoever is there now, wanted or not; the list is never cleared.
            Event::Replace(ordinal) => world.replaced.extend(world.node(ordinal).map(|node| node.id)),
            Event::LoseVolume(ordinal) => {
                if !std::mem::replace(&mut lost, true) {
                    world.delete_claim(ordinal);
                    world.remove_pod(ordinal);
                }
            }
        }
        assert_eq!(world.violations, Vec::<String>::new(), "after {event:?}");
    }
    calm_down(&mut world);
    // What an operator decided before the calm may still arrive.
    for operator in &mut operators {
        for _ in 0..20 {
            operator.proceed(&mut world);
            assert_eq!(world.violations, Vec::<String>::new());
        }
    }
    calm_down(&mut world);
    assert_eq!(world.violations, Vec::<String>::new());
    assert_whole(&world);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_removes_anything_without_proof(
        formed in any::<bool>(),
        events in prop::collection::vec(event(), 1..300),
    ) {
        // Half of the runs begin with a cluster that stands, so that more of them get far into a change.
        let mut all = Vec::new();
        if formed {
            for _ in 0..12 {
                all.extend([Event::Pass, Event::Objects]);
            }
        }
        all.extend(events);
        play(&all);
    }
}
