//! Clusters as tests of the command line look at them.

use dynamo_client::change::Look;
use dynamo_proto::v1::{NodeStatus, Stage, Stamp};
use dynamo_ring::change::to_ask;
use dynamo_ring::{ClusterId, Member, NodeId, Partitions, Quorum, Record, plan};

pub(crate) fn node_id(i: u8) -> NodeId {
    NodeId([i; 16])
}

/// `m-0` and so on, in two zones.
pub(crate) fn members(count: u8) -> Vec<Member> {
    let member = |i: u8| Member {
        name: format!("m-{i}"),
        node_id: node_id(i),
        zone: format!("zone-{}", i % 2),
        address: format!("h:{i}"),
        weight: 1,
    };
    (0..count).map(member).collect()
}

/// A settled cluster of n=3, r=2, w=2.
pub(crate) fn record(count: u8, partitions: u32) -> Record {
    let q = Partitions::new(partitions).unwrap();
    let layout = plan::first(&members(count), q, 3, ClusterId([0; 16])).unwrap();
    Record::first(layout, Quorum { n: 3, r: 2, w: 2 }).unwrap()
}

/// What a member that is at this record says of that.
pub(crate) fn stamp(record: &Record) -> Stamp {
    let hash = record.id().hash.as_bytes().to_vec().into();
    Stamp { epoch: record.stamp().epoch, step: record.step() as u32 + 1, hash }
}

/// Every member answers, and has acknowledged the record.
pub(crate) fn look(record: &Record) -> Look {
    let status = |id: &NodeId| NodeStatus {
        node_id: id.as_bytes().to_vec().into(),
        stage: Stage::Serving.into(),
        record: record.to_json().into(),
        acked: Some(stamp(record)),
        keys: 42,
        ..NodeStatus::default()
    };
    let statuses = to_ask(record).map(|id| (id, Some(status(&id)))).collect();
    Look { record: record.clone(), statuses }
}
