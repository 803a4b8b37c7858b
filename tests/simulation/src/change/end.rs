//! What has to be so once faults have ended and every change has: the record settled, everybody who left has retired or is
//! recorded as lost, members hold what the layout gives them and nothing else, and nobody else holds anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dynamo_node::store::{Local, MemoryStore};
use dynamo_ring::{Fate, LayoutId, Partition, Record};

use super::spec::Spec;
use crate::net::machine;
use crate::world::World;

/// What of all that is not so.
pub(super) async fn wrong(world: &World, spec: &Spec) -> Vec<String> {
    let mut wrong = Vec::new();
    let record = world.book.latest().record;
    if !record.settled() {
        wrong.push(format!("the change has not ended: {}", record.stamp()));
    }
    let members: Vec<usize> =
        record.stable().members().iter().filter_map(|member| machine(&member.name)).collect();
    let wanted: Vec<usize> = spec.machines().collect();
    if members != wanted {
        wrong.push(format!("machines {members:?} are members, and {wanted:?} are wanted"));
    }
    for named in record.named() {
        if named.fate == Fate::Active && !record.stable().names(&named.node_id) {
            wrong.push(format!("{} left, and has neither retired nor is it lost", named.name));
        }
    }
    for host in world.hosts.iter() {
        let host = host.lock().await;
        let gives: BTreeSet<Partition> = match host.node_id() {
            Some(node) if record.stable().names(&node) => record.stable().partitions_of(&node).collect(),
            _ => BTreeSet::new(),
        };
        let Ok(summaries) = local(&host.disk).summaries() else {
            wrong.push(format!("machine {} cannot be read", host.machine));
            continue;
        };
        let held: BTreeSet<Partition> =
            summaries.iter().filter(|(_, summary)| summary.held).map(|(partition, _)| *partition).collect();
        if held != gives {
            wrong.push(format!("machine {} holds {held:?}, and the layout gives it {gives:?}", host.machine));
        }
        for (partition, summary) in
            summaries.iter().filter(|(p, summary)| summary.keys > 0 && !gives.contains(p))
        {
            let keys = summary.keys;
            wrong.push(format!(
                "machine {} has {keys} keys of {partition}, which is not its own",
                host.machine
            ));
        }
    }
    wrong.extend(second_layouts(&world.book.all()));
    wrong
}

/// Two layouts of one epoch.
fn second_layouts(records: &[Arc<Record>]) -> Vec<String> {
    let mut known: BTreeMap<u64, LayoutId> = BTreeMap::new();
    let mut wrong = Vec::new();
    for id in records.iter().flat_map(|record| record.layouts()).map(dynamo_ring::Layout::id) {
        let first = *known.entry(id.epoch).or_insert(id);
        if first != id {
            wrong.push(format!("two layouts of one epoch: {first} and {id}"));
        }
    }
    wrong
}

/// What is on a disk that should be empty.
pub(super) fn left_on(disk: &MemoryStore) -> Vec<String> {
    let local = local(disk);
    let mut left = Vec::new();
    let keys: u64 = local.summaries().map_or(1, |all| all.iter().map(|(_, summary)| summary.keys).sum());
    let hints: u64 = local.hint_counts().map_or(1, |all| all.iter().map(|count| count.hints).sum());
    if keys > 0 {
        left.push(format!("{keys} keys"));
    }
    if hints > 0 {
        left.push(format!("{hints} hints"));
    }
    left
}

fn local(disk: &MemoryStore) -> Local {
    Local::new(Arc::new(disk.clone()))
}
