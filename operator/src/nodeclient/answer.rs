//! From a member's status on the wire to what the plan goes by. What cannot be read is no answer.

use dynamo_proto::v1 as proto;
use dynamo_ring::change::{MemberReport, Synced};
use dynamo_ring::{ClusterId, LayoutHash, LayoutId, NodeId, Record, Stamp, Step};

use crate::controller::observed::{Answer, Progress};

/// Reads the status of the member that is called `name`.
pub(super) fn read(name: &str, status: &proto::NodeStatus) -> Result<Answer, String> {
    if status.name != name {
        return Err(format!("it calls itself `{}`: a name or an address leads to another pod", status.name));
    }
    let record = match status.record.as_ref() {
        [] => None,
        bytes => {
            let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
            Some(Record::from_json(text).map_err(|e| e.to_string())?)
        }
    };
    let acked = status.acked.as_ref().map(stamp).transpose()?;
    let target =
        status.target.as_ref().map(|t| Ok::<_, String>((layout(t.target.as_ref())?, t))).transpose()?;
    let handed_over = match &status.hand_over {
        Some(done) if done.done => Some(layout(done.committed.as_ref())?),
        _ => None,
    };
    Ok(Answer {
        report: MemberReport {
            node_id: NodeId(id(&status.node_id)?),
            acked,
            barred: record.iter().flat_map(Record::lost_ids).collect(),
            synced: target.map(|(id, t)| Synced {
                id,
                partitions: t.partitions_synced,
                wanted: t.partitions_wanted,
            }),
            handed_over,
            retired: status.stage == proto::Stage::Retired as i32,
            hints: status.hints,
        },
        cluster_id: match status.cluster_id.as_ref() {
            [] => None,
            bytes => Some(ClusterId(id(bytes)?)),
        },
        has_record: record.is_some(),
        settled: record.as_ref().is_some_and(Record::settled),
        has_data: status.has_data,
        progress: target.map(|(id, t)| Progress {
            epoch: id.epoch,
            partitions_wanted: t.partitions_wanted,
            partitions_synced: t.partitions_synced,
            bytes_wanted: t.bytes_wanted,
            bytes_pulled: t.bytes_pulled,
            bytes_compared: t.bytes_compared,
            partitions_unsized: t.partitions_unsized,
            left_ms: t.left_ms,
        }),
        background_bytes_per_second: status.background_bytes_per_second,
    })
}

fn stamp(stamp: &proto::Stamp) -> Result<(Stamp, LayoutId), String> {
    let step = match stamp.step {
        1 => Step::Proposed,
        2 => Step::Frozen,
        3 => Step::Switched,
        4 => Step::Committed,
        other => return Err(format!("step {other} is none that this operator knows; update it")),
    };
    Ok((Stamp { epoch: stamp.epoch, step }, layout(Some(stamp))?))
}

fn layout(stamp: Option<&proto::Stamp>) -> Result<LayoutId, String> {
    let stamp = stamp.ok_or("a layout is missing where one is spoken of")?;
    Ok(LayoutId { epoch: stamp.epoch, hash: LayoutHash(id(&stamp.hash)?) })
}

fn id(bytes: &[u8]) -> Result<[u8; 16], String> {
    bytes.try_into().map_err(|_| format!("an id of {} bytes, not 16", bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::model;

    fn full() -> (Record, proto::NodeStatus) {
        let record = model::proposed(3, 5);
        let stamp = proto::Stamp { epoch: 2, step: 1, hash: record.id().hash.0.to_vec().into() };
        let status = proto::NodeStatus {
            node_id: model::node_id(4).0.to_vec().into(),
            name: "cart-3".into(),
            cluster_id: model::CLUSTER.0.to_vec().into(),
            stage: proto::Stage::Serving as i32,
            has_data: true,
            record: record.to_json().into(),
            acked: Some(stamp.clone()),
            target: Some(proto::TargetProgress {
                target: Some(stamp.clone()),
                partitions_wanted: 9,
                partitions_synced: 4,
                bytes_wanted: 900,
                bytes_pulled: 400,
                bytes_compared: 7,
                bytes_per_second: Some(50),
                partitions_unsized: 2,
                left_ms: None,
            }),
            hand_over: Some(proto::HandOver { committed: Some(stamp), done: false, ..Default::default() }),
            hints: 2,
            background_bytes_per_second: 70,
            ..Default::default()
        };
        (record, status)
    }

    #[test]
    fn a_full_status_is_read_whole() {
        let (record, status) = full();
        let answer = read("cart-3", &status).unwrap();
        assert_eq!(answer.report.acked, Some((record.stamp(), record.id())));
        assert_eq!(answer.report.synced, Some(Synced { id: record.id(), partitions: 4, wanted: 9 }));
        assert_eq!(answer.report.handed_over, None, "not before it is done");
        assert_eq!((answer.cluster_id, answer.has_record), (Some(model::CLUSTER), true));
        let progress = answer.progress.unwrap();
        assert_eq!((progress.bytes_pulled, progress.partitions_unsized, progress.left_ms), (400, 2, None));
        assert_eq!(answer.background_bytes_per_second, 70);
        assert!(!answer.blank());
    }

    #[test]
    fn an_empty_directory_is_blank() {
        let (_, full) = full();
        let status = proto::NodeStatus {
            node_id: full.node_id,
            name: full.name,
            stage: proto::Stage::Dormant as i32,
            ..Default::default()
        };
        assert!(read("cart-3", &status).unwrap().blank());
    }

    #[test]
    fn lesson_6_another_pod_at_its_address_is_not_it() {
        let (_, status) = full();
        assert!(read("cart-4", &status).unwrap_err().contains("`cart-3`"));
    }

    #[test]
    fn lesson_2_what_cannot_be_read_is_no_answer() {
        let broken: [fn(&mut proto::NodeStatus); 4] = [
            |s| s.node_id = vec![1, 2].into(),
            |s| s.record = "{".into(),
            |s| s.acked.as_mut().unwrap().step = 9,
            |s| {
                let hand_over = s.hand_over.as_mut().unwrap();
                (hand_over.done, hand_over.committed) = (true, None);
            },
        ];
        for (at, break_it) in broken.into_iter().enumerate() {
            let (_, mut status) = full();
            break_it(&mut status);
            assert!(read("cart-3", &status).is_err(), "{at}");
        }
    }
}
