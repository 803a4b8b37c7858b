//! The operator's part: ask every member, do what `ring::change::next` says, again and again.

use std::collections::BTreeSet;
use std::time::Duration;

use dynamo_node::peer::wire;
use dynamo_proto::v1::admin_server::Admin;
use dynamo_proto::v1::{NodeStatus, RetireRequest, SetLayoutRequest, Stage, StatusRequest};
use dynamo_ring::change::{self, MemberReport, Next, Reports, Synced};
use dynamo_ring::{NodeId, Record};
use tokio::time::Instant;
use tonic::Request;

use super::{CLUSTER, Cluster};

impl Cluster {
    /// Drives the change that stands to its end.
    pub(crate) async fn settle(&mut self) {
        self.drive_until(|_, next| *next == Next::Done).await;
    }

    /// Drives until the record and what is to be done next satisfy `done`.
    pub(crate) async fn drive_until(&mut self, done: impl Fn(&Record, &Next) -> bool) {
        let until = Instant::now() + Duration::from_mins(1);
        loop {
            let next = change::next(&self.record, &self.reports().await);
            if done(&self.record, &next) {
                return;
            }
            assert!(Instant::now() < until, "stuck at {}: {next:?}", self.record.stamp());
            match next {
                Next::Done => return,
                Next::Write(record) => self.record = *record,
                Next::Tell(nodes) => {
                    for node in nodes {
                        self.tell(node).await;
                    }
                }
                Next::Retire(nodes) => {
                    for node in nodes {
                        self.tell(node).await;
                        let request = RetireRequest {
                            cluster_id: CLUSTER.0.to_vec().into(),
                            node_id: wire::node_id_bytes(node),
                        };
                        if let Some(running) = self.board.get(node) {
                            running.admin.retire(Request::new(request)).await.unwrap();
                        }
                    }
                }
                Next::Wait(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Whether it takes the record is for its report to say.
    async fn tell(&self, node: NodeId) {
        let Some(running) = self.board.get(node) else { return };
        let request =
            SetLayoutRequest { record: self.record.to_json().into(), node_id: wire::node_id_bytes(node) };
        drop(running.admin.set_layout(Request::new(request)).await);
    }

    pub(crate) async fn reports(&self) -> Reports {
        let mut reports = Reports::new();
        for node in change::to_ask(&self.record) {
            let report = match self.board.get(node) {
                Some(running) => Some(report(&status(&running).await)),
                None => None,
            };
            reports.insert(node, report);
        }
        reports
    }
}

pub(crate) async fn status(running: &super::Running) -> NodeStatus {
    running.admin.status(Request::new(StatusRequest {})).await.unwrap().into_inner()
}

fn report(status: &NodeStatus) -> MemberReport {
    let acked = status.acked.as_ref().map(|stamp| wire::stamp(Some(stamp)).unwrap());
    let synced = status.target.as_ref().map(|target| Synced {
        id: wire::stamp(target.target.as_ref()).unwrap().id,
        partitions: target.partitions_synced,
        wanted: target.partitions_wanted,
    });
    let handed_over = status.hand_over.as_ref().filter(|hand_over| hand_over.done);
    let record: Option<Record> = serde_json::from_slice(&status.record).ok();
    let barred: BTreeSet<NodeId> = record.iter().flat_map(Record::lost_ids).collect();
    MemberReport {
        node_id: wire::node_id("node_id", &status.node_id).unwrap(),
        acked: acked.map(|sender| (sender.stamp, sender.id)),
        barred,
        synced,
        handed_over: handed_over.map(|h| wire::stamp(h.committed.as_ref()).unwrap().id),
        retired: status.stage() == Stage::Retired,
        hints: status.hints,
    }
}
