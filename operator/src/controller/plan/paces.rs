//! How fast members may move data. It is told to those that go by another figure, while they run: it is no part of the
//! pods' template, so a change restarts nobody.

use super::{Plan, Step};
use crate::controller::observed::Observed;
use crate::controller::validate::Desired;

/// One step for each member that goes by another limit.
pub fn plan(observed: &Observed, desired: &Desired) -> Plan {
    let bytes_per_second = desired.rebalance_bytes_per_second;
    let pods = observed.pods.iter().filter(|(_, pod)| !pod.terminating);
    let answers = pods.filter_map(|(ordinal, pod)| Some((*ordinal, pod.answer.as_ref()?)));
    let others = answers.filter(|(_, answer)| answer.background_bytes_per_second != bytes_per_second);
    let tell = others.map(|(ordinal, answer)| Step::SetPace {
        ordinal,
        node_id: answer.node_id(),
        bytes_per_second,
    });
    Plan { steps: tell.collect(), waits: Vec::new() }
}
