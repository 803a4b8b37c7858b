//! A node's status, read as what a change of layout has to know of it.

use dynamo_proto::v1 as proto;
use dynamo_ring::change::{MemberReport, Synced};
use dynamo_ring::{LayoutHash, LayoutId, NodeId, Record, Stamp, Step};

/// The report that this status makes. None if it is not whole: then the node counts as one that gave no answer, since
/// whatever cannot be read is never "done".
pub fn report(status: &proto::NodeStatus) -> Option<MemberReport> {
    let record = record(status)?;
    let synced = match &status.target {
        None => None,
        Some(progress) => Some(Synced {
            id: stamp(progress.target.as_ref()?)?.1,
            partitions: progress.partitions_synced,
            wanted: progress.partitions_wanted,
        }),
    };
    let handed_over = match &status.hand_over {
        Some(done) if done.done => Some(stamp(done.committed.as_ref()?)?.1),
        _ => None,
    };
    let acked = match &status.acked {
        None => None,
        Some(acked) => Some(stamp(acked)?),
    };
    Some(MemberReport {
        node_id: node_id(&status.node_id)?,
        acked,
        barred: record.iter().flat_map(Record::lost_ids).collect(),
        synced,
        handed_over,
        retired: status.stage() == proto::Stage::Retired,
        hints: status.hints,
    })
}

/// The record that a node says it has: `Some(None)` if it has none, `None` if it cannot be read.
#[allow(clippy::option_option)] // "has none" and "cannot be read" are different answers
pub fn record(status: &proto::NodeStatus) -> Option<Option<Record>> {
    if status.record.is_empty() {
        return Some(None);
    }
    let text = std::str::from_utf8(&status.record).ok()?;
    Record::from_json(text).ok().map(Some)
}

/// A node id as it is sent.
pub fn node_id(bytes: &[u8]) -> Option<NodeId> {
    bytes.try_into().ok().map(NodeId)
}

/// A stamp as it is sent.
pub fn stamp(sent: &proto::Stamp) -> Option<(Stamp, LayoutId)> {
    let step = match sent.step {
        1 => Step::Proposed,
        2 => Step::Frozen,
        3 => Step::Switched,
        4 => Step::Committed,
        _ => return None,
    };
    let hash = LayoutHash(sent.hash.as_ref().try_into().ok()?);
    Some((Stamp { epoch: sent.epoch, step }, LayoutId { epoch: sent.epoch, hash }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::form::tests::{member, record as first};

    fn sent(record: &Record) -> proto::Stamp {
        let hash = record.id().hash.as_bytes().to_vec().into();
        proto::Stamp { epoch: record.stamp().epoch, step: record.step() as u32 + 1, hash }
    }

    fn status(record: &Record) -> proto::NodeStatus {
        proto::NodeStatus {
            node_id: member(1).node_id.as_bytes().to_vec().into(),
            record: record.to_json().into(),
            acked: Some(sent(record)),
            stage: proto::Stage::Serving.into(),
            ..proto::NodeStatus::default()
        }
    }

    #[test]
    fn every_step_is_read_as_it_was_meant() {
        let settled = first(3);
        let members: Vec<_> = (0..4).map(member).collect();
        let proposed = settled.propose(&members).unwrap();
        let frozen = proposed.freeze().unwrap();
        let switched = frozen.switch().unwrap();
        for record in [&settled, &proposed, &frozen, &switched] {
            let report = report(&status(record)).unwrap();
            assert_eq!(report.acked, Some((record.stamp(), record.id())));
            assert_eq!(report.node_id, member(1).node_id);
        }
    }

    #[test]
    fn progress_counts_for_the_target_it_names_and_hand_over_only_when_done() {
        let settled = first(3);
        let mut said = status(&settled);
        said.target = Some(proto::TargetProgress {
            target: Some(sent(&settled)),
            partitions_wanted: 6,
            partitions_synced: 2,
            ..proto::TargetProgress::default()
        });
        let mut hand_over = proto::HandOver { committed: Some(sent(&settled)), ..proto::HandOver::default() };
        said.hand_over = Some(hand_over.clone());
        let read = report(&said).unwrap();
        assert_eq!(read.synced, Some(Synced { id: settled.id(), partitions: 2, wanted: 6 }));
        assert_eq!(read.handed_over, None);
        hand_over.done = true;
        said.hand_over = Some(hand_over);
        assert_eq!(report(&said).unwrap().handed_over, Some(settled.id()));
    }

    #[test]
    fn the_lost_that_are_barred_are_those_of_the_record_that_it_has() {
        let lost = first(4).lost(&member(3).node_id).unwrap();
        assert_eq!(report(&status(&lost)).unwrap().barred, [member(3).node_id].into());
    }

    #[test]
    fn what_cannot_be_read_is_no_answer() {
        let good = status(&first(3));
        assert!(report(&good).is_some());
        assert!(report(&proto::NodeStatus { node_id: vec![1; 15].into(), ..good.clone() }).is_none());
        assert!(report(&proto::NodeStatus { record: "{}".into(), ..good.clone() }).is_none());
        let odd = proto::Stamp { step: 5, ..sent(&first(3)) };
        assert!(report(&proto::NodeStatus { acked: Some(odd), ..good }).is_none());
    }
}
