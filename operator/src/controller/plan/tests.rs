//! The plan, played against the model of Kubernetes; and the plays that its tests share.

mod lessons;
mod orders;
mod replace;

use dynamo_ring::Record;

use super::layout::Seed;
use super::{Plan, Step, plan};
use crate::controller::model::{CLUSTER, Operator, World};
use crate::controller::observed::Observed;

fn planned(world: &World) -> Plan {
    plan_of(world, &world.observe())
}

fn plan_of(world: &World, observed: &Observed) -> Plan {
    plan(observed, &world.desired(), &Seed { cluster_id: CLUSTER })
}

fn round(world: &mut World) -> usize {
    world.settle_objects();
    for ordinal in 0..8 {
        world.work(ordinal);
    }
    Operator::pass(world)
}

fn calm(replicas: u32) -> World {
    let mut world = World::new(replicas);
    rest(&mut world);
    world
}

fn rest(world: &mut World) {
    for _ in 0..100 {
        if round(world) + round(world) == 0 {
            return;
        }
    }
    panic!("no end: {:?}", world.layout);
}

fn record(world: &World) -> &Record {
    &world.layout.as_ref().unwrap().1
}

fn replicas(world: &World) -> u32 {
    world.statefulset.as_ref().unwrap().replicas
}

fn deletes(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| matches!(step, Step::DeleteVolume { .. }))
}
