//! An operator in slow motion: between any two of its reads and writes anything else may happen.

use std::collections::VecDeque;

use super::{CLUSTER, World};
use crate::controller::observed::{Observed, StatefulSetSeen};
use crate::controller::plan::layout::Seed;
use crate::controller::plan::{Step, plan};
use crate::controller::validate::Desired;

#[derive(Debug, Clone, Default)]
pub(crate) enum Operator {
    #[default]
    Idle,
    HasSpec(Box<Desired>),
    HasStatefulSet(Box<Desired>, Option<StatefulSetSeen>),
    HasObjects(Box<Desired>, Box<Observed>),
    HasAnswers(Box<Desired>, Box<Observed>),
    HasPlan(VecDeque<Step>),
}

impl Operator {
    /// The next read, or the next write.
    pub(crate) fn proceed(&mut self, world: &mut World) {
        *self = match std::mem::take(self) {
            Self::Idle => Self::HasSpec(Box::new(world.desired())),
            Self::HasSpec(desired) => Self::HasStatefulSet(desired, world.read_statefulset()),
            Self::HasStatefulSet(desired, set) => Self::HasObjects(desired, Box::new(world.read_others(set))),
            Self::HasObjects(desired, mut observed) => {
                world.ask(&mut observed);
                Self::HasAnswers(desired, observed)
            }
            Self::HasAnswers(desired, observed) => {
                let plan = plan(&observed, &desired, &Seed { cluster_id: CLUSTER });
                Self::HasPlan(plan.steps.into())
            }
            Self::HasPlan(mut steps) => match steps.pop_front() {
                None => Self::Idle,
                Some(step) => {
                    world.carry_out(step);
                    Self::HasPlan(steps)
                }
            },
        };
    }

    /// One whole pass without anything in between; how many steps it took.
    pub(crate) fn pass(world: &mut World) -> usize {
        let plan = plan(&world.observe(), &world.desired(), &Seed { cluster_id: CLUSTER });
        let steps = plan.steps.len();
        for step in plan.steps {
            world.carry_out(step);
        }
        steps
    }
}
