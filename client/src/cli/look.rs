//! What the members of a cluster say of themselves, asked all at once.

use std::collections::BTreeMap;
use std::time::Duration;

use dynamo_client::change::Look;
use dynamo_client::change::report::{self, node_id};
use dynamo_client::{Admin, Token};
use dynamo_proto::v1::{MovesReply, NodeStatus};
use dynamo_ring::change::to_ask;
use dynamo_ring::{NodeId, Record};
use futures::future::join_all;

/// How long one node may take.
const ASK: Duration = Duration::from_secs(3);

/// Asks every member how it is.
pub(crate) async fn look(record: &Record, token: &Token) -> Look {
    let ask = async |node: Admin| node.status().await.ok();
    let mut statuses = all(record, token, ask).await;
    // Another node that answers at a member's address is not that member.
    for (id, status) in &mut statuses {
        *status = status.take().filter(|status| node_id(&status.node_id) == Some(*id));
    }
    for id in to_ask(record) {
        // Named once and in no layout: nothing here knows where to dial it.
        statuses.entry(id).or_insert(None);
    }
    Look { record: record.clone(), statuses }
}

/// Asks every member what comes to it and leaves it.
pub(crate) async fn moves(record: &Record, token: &Token) -> BTreeMap<NodeId, Option<MovesReply>> {
    all(record, token, async |node: Admin| node.moves(&[]).await.ok()).await
}

async fn all<T>(
    record: &Record,
    token: &Token,
    ask: impl AsyncFn(Admin) -> Option<T>,
) -> BTreeMap<NodeId, Option<T>> {
    let ask = &ask;
    let asked = record.view().members().map(|member| async move {
        let answer = match Admin::new(&member.address, token, ASK) {
            Ok(node) => ask(node).await,
            Err(_) => None,
        };
        (member.node_id, answer)
    });
    join_all(asked.collect::<Vec<_>>()).await.into_iter().collect()
}

/// The record of this look's that has come furthest: the one that was asked by, or that some member has by now.
pub(crate) fn newest(look: &Look) -> Record {
    let theirs = |status: &NodeStatus| report::record(status).flatten();
    let records = look.statuses.values().flatten().filter_map(theirs);
    let of_this_cluster = records.filter(|record| record.cluster_id() == look.record.cluster_id());
    // At one stamp, settling is all that is still to come.
    let far = |record: &Record| (record.stamp(), record.settled());
    of_this_cluster.fold(
        look.record.clone(),
        |far_one, record| {
            if far(&record) > far(&far_one) { record } else { far_one }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenes::{look as looked, record};

    #[test]
    fn the_record_that_has_come_furthest_is_gone_by() {
        let proposed = record(3, 8).propose(&crate::scenes::members(4)).unwrap();
        let frozen = proposed.freeze().unwrap();
        let mut look = looked(&proposed);
        assert_eq!(newest(&look).stamp(), proposed.stamp());
        for (id, record) in [(0, &frozen), (1, &record(3, 8))] {
            let status = look.statuses.get_mut(&crate::scenes::node_id(id)).unwrap().as_mut().unwrap();
            status.record = record.to_json().into();
        }
        assert_eq!(newest(&look).stamp(), frozen.stamp());
        let committed = frozen.switch().unwrap().commit().unwrap();
        let settled = committed.settle().unwrap();
        let status = look.statuses.get_mut(&crate::scenes::node_id(2)).unwrap().as_mut().unwrap();
        status.record = settled.to_json().into();
        look.record = committed;
        assert!(newest(&look).settled());
    }
}
