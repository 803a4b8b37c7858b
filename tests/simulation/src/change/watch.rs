//! What no member may ever do in a change, whatever happens: looked at whenever one is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynamo_client::change::report;
use dynamo_proto::v1::NodeStatus;
use dynamo_ring::{LayoutId, NodeId, Stamp};

/// The furthest record of each node.
pub(super) type Shown = BTreeMap<NodeId, (Stamp, LayoutId)>;

#[derive(Debug, Default)]
struct Known {
    /// The furthest record that a node has shown.
    shown: Shown,
    broken: Vec<String>,
}

/// What was seen so far. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Known>>);

impl Watch {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What nodes have shown up to now: an answer to a question that is asked from now on must not be older.
    pub(super) fn shown(&self) -> Shown {
        self.known().shown.clone()
    }

    /// A member has said this of itself, when it was asked after it had shown `before`. (Answers may overtake each other.)
    pub(super) fn saw(&self, answer: &NodeStatus, before: &Shown) {
        let Some(node) = report::node_id(&answer.node_id) else { return };
        let Some(Some(record)) = report::record(answer) else { return };
        let now = (record.stamp(), record.id());
        let mut known = self.known();
        if known.shown.get(&node).is_none_or(|shown| shown.0 <= now.0) {
            known.shown.insert(node, now);
        }
        if let Some(before) =
            before.get(&node).filter(|before| before.0 > now.0 || before.0 == now.0 && before.1 != now.1)
        {
            known.broken.push(format!("node {node} went back from {} to {}", before.0, now.0));
        }
    }

    /// A retired machine is about to be removed, with this left on its disk.
    pub(super) fn left(&self, machine: usize, left: Vec<String>) {
        self.known()
            .broken
            .extend(left.into_iter().map(|what| format!("machine {machine} has retired with {what}")));
    }

    /// What was done that must never be.
    pub(super) fn broken(&self) -> Vec<String> {
        self.known().broken.clone()
    }
}
