//! Changes of size over real sockets, under writes: what was acknowledged is there afterwards, at every member.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say so")]

mod wire;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dynamo_node::peer::wire::stamp;
use dynamo_proto::v1::kv_client::KvClient;
use dynamo_proto::v1::{GetRequest, NodeStatus, PutRequest, RetireRequest, SetLayoutRequest, Stage};
use dynamo_ring::change::{self, MemberReport, Next, Reports, Synced};
use dynamo_ring::{Member, NodeId, Record};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tonic::Code;
use tonic::transport::Channel;
use wire::{Pod, Wired, delete, eventually, get, put, shown, values};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_from_three_to_five_to_three() {
    let mut cluster = Wired::form(3, &[]).await;
    let load = Load::start(&cluster);
    load.proceed(50).await;
    for i in 3..5 {
        cluster.pods.push(Pod::joining(i).await);
    }
    drive(&mut cluster, 5).await;
    load.proceed(50).await;
    drive(&mut cluster, 3).await;
    load.proceed(50).await;
    let written = load.stop().await;
    assert!(written.len() > 150, "{}", written.len());
    for pod in &cluster.pods[3..] {
        let status = pod.status().await;
        assert_eq!((status.stage(), status.keys, status.hints), (Stage::Retired, 0, 0));
    }
    for (key, value) in &written {
        for pod in &cluster.pods[..3] {
            let strict = GetRequest { strict: true, ..get(key) };
            let found = pod.kv().get(strict).await.unwrap().into_inner();
            assert!(values(&found).contains(value), "{key} at {}", pod.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lesson_5_what_was_deleted_and_reaped_between_two_changes_of_size_never_comes_back() {
    let flags = ["--reap-interval-ms=50"];
    let mut cluster = Wired::form(3, &flags).await;
    let key = |n: usize| format!("key-{n}");
    for n in 0..60 {
        cluster.pods[n % 3].put(put(&key(n), "v")).await.unwrap();
    }
    for i in 3..5 {
        cluster.pods.push(Pod::joining_with(i, &flags).await);
    }
    // Some go while their partitions are being moved, and wait; the others go at once.
    let deleting = delete_all(cluster.pods[1].kv(), (0..20).map(key).collect());
    drive(&mut cluster, 5).await;
    deleting.await.unwrap();
    delete_all(cluster.pods[4].kv(), (20..40).map(key).collect()).await.unwrap();
    eventually("only what was not deleted is left, three times", async || keys(&cluster).await == 60).await;
    drive(&mut cluster, 3).await;
    assert_eq!(keys(&cluster).await, 60);
    for n in 0..60 {
        let found = cluster.pods[n % 3].get(&key(n)).await;
        assert_eq!((values(&found).len(), found.tombstones), (usize::from(n >= 40), 0), "{n}");
    }
}

/// Keys on all disks together.
async fn keys(cluster: &Wired) -> u64 {
    let mut keys = 0;
    for pod in &cluster.pods {
        keys += pod.status().await.keys;
    }
    keys
}

/// Deletes all these keys, however often a change of layout gets in the way.
fn delete_all(mut kv: KvClient<Channel>, keys: Vec<String>) -> JoinHandle<()> {
    tokio::spawn(async move {
        for key in keys {
            loop {
                let found = kv.get(get(&key)).await.map(tonic::Response::into_inner);
                let Ok(found) = found else { continue };
                if kv.delete(delete(&key, found.context)).await.is_ok() {
                    break;
                }
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_two_steps_behind_is_told_and_goes_on_with_the_same_version() {
    let mut cluster = Wired::form(3, &[]).await;
    cluster.pods.push(Pod::joining(3).await);
    let members: Vec<Member> = cluster.pods.iter().map(Pod::member).collect();
    let proposed = cluster.record.propose(&members).unwrap();
    let frozen = proposed.freeze().unwrap();
    let late = &cluster.pods[0];
    for record in [&proposed, &frozen] {
        for pod in &cluster.pods[1..] {
            pod.set_layout(record).await;
        }
    }
    let written = late.put(PutRequest { w: Some(3), ..put("k", "v") }).await.unwrap();
    assert_eq!((written.siblings, written.epoch, written.sloppy), (1, 2, false));
    let known = Record::from_json(std::str::from_utf8(&late.status().await.record).unwrap()).unwrap();
    assert_eq!(known, frozen, "it has taken what the others go by");
    for pod in &cluster.pods {
        // A member that is slow to answer is not one of three; whoever answers has it.
        eventually("all three answer with it", async || {
            let found = pod.kv().get(GetRequest { r: Some(3), ..get("k") }).await;
            found.is_ok_and(|found| values(&found.into_inner()) == ["v"])
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_asked_by_a_newer_coordinator_fetches_that_layout_first() {
    let mut cluster = Wired::form(3, &[]).await;
    cluster.pods.push(Pod::joining(3).await);
    let members: Vec<Member> = cluster.pods.iter().map(Pod::member).collect();
    let proposed = cluster.record.propose(&members).unwrap();
    let early = &cluster.pods[0];
    early.set_layout(&proposed).await;
    let written = early.put(PutRequest { strict: true, ..put("k", "v") }).await.unwrap();
    assert_eq!((written.siblings, written.epoch), (1, 2));
    // The write is answered by two of the three; the last may still be fetching.
    for pod in &cluster.pods[1..3] {
        eventually("it goes by what the coordinator goes by", async || {
            Record::from_json(std::str::from_utf8(&pod.status().await.record).unwrap()).unwrap() == proposed
        })
        .await;
    }
}

/// A writer at each of the first three pods, each to keys of its own, as clients with a deadline do.
struct Load {
    going: Arc<AtomicBool>,
    writers: Vec<JoinHandle<HashMap<String, String>>>,
    acknowledged: Arc<std::sync::atomic::AtomicUsize>,
}

impl Load {
    fn start(cluster: &Wired) -> Self {
        let going = Arc::new(AtomicBool::new(true));
        let acknowledged = Arc::default();
        let writers = cluster.pods[..3]
            .iter()
            .enumerate()
            .map(|(i, pod)| tokio::spawn(write(i, pod.kv(), Arc::clone(&going), Arc::clone(&acknowledged))))
            .collect();
        Self { going, writers, acknowledged }
    }

    /// Waits until so many more were acknowledged.
    async fn proceed(&self, more: usize) {
        let before = self.acknowledged.load(Ordering::Relaxed);
        wire::eventually("writes go on", async || self.acknowledged.load(Ordering::Relaxed) >= before + more)
            .await;
    }

    async fn stop(self) -> HashMap<String, String> {
        self.going.store(false, Ordering::Relaxed);
        let mut all = HashMap::new();
        for writer in self.writers {
            all.extend(writer.await.unwrap());
        }
        all
    }
}

async fn write(
    writer: usize,
    mut kv: KvClient<Channel>,
    going: Arc<AtomicBool>,
    acknowledged: Arc<std::sync::atomic::AtomicUsize>,
) -> HashMap<String, String> {
    let mut done = HashMap::new();
    let mut n = 0u64;
    while going.load(Ordering::Relaxed) {
        n += 1;
        // Every third key is written again, over what is there.
        let key = format!("{writer}-{}", if n.is_multiple_of(3) { n / 2 } else { n });
        let context = match kv.get(get(&key)).await {
            Ok(found) => found.into_inner().context,
            Err(_) => Bytes::new(),
        };
        let value = format!("v{n}");
        match kv.put(PutRequest { context, ..put(&key, &value) }).await {
            Ok(_) => {
                done.insert(key, value);
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            // It may appear all the same, beside or instead of the last one: that key proves nothing any more.
            Err(status) if status.code() == Code::Unavailable => {
                done.remove(&key);
                sleep(Duration::from_millis(20)).await;
            }
            Err(status) => panic!("{status:?}"),
        }
    }
    done
}

/// Drives a change to the first `count` pods to its end, as the operator does.
async fn drive(cluster: &mut Wired, count: usize) {
    let members: Vec<Member> = cluster.pods[..count].iter().map(Pod::member).collect();
    cluster.record = cluster.record.propose(&members).unwrap();
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        let next = change::next(&cluster.record, &reports(cluster).await);
        assert!(Instant::now() < until, "stuck at {}: {next:?}", cluster.record.stamp());
        match next {
            Next::Done => {
                // The stamp does not show that a change has settled; members that stay are told, as the operator does.
                for pod in &cluster.pods[..count] {
                    pod.set_layout(&cluster.record).await;
                }
                return;
            }
            Next::Write(record) => cluster.record = *record,
            Next::Tell(nodes) => {
                for node in nodes {
                    tell(cluster, node).await;
                }
            }
            Next::Retire(nodes) => {
                for node in nodes {
                    tell(cluster, node).await;
                    retire(cluster, node).await;
                }
            }
            Next::Wait(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

fn pod_of(cluster: &Wired, node: NodeId) -> &Pod {
    cluster.pods.iter().find(|pod| pod.node_id == node).unwrap()
}

/// Whether it takes the record is for its report to say.
async fn tell(cluster: &Wired, node: NodeId) {
    let record = cluster.record.to_json().into();
    let node_id = Bytes::copy_from_slice(node.as_bytes());
    let request = shown(SetLayoutRequest { record, node_id });
    drop(pod_of(cluster, node).admin().set_layout(request).await);
}

async fn retire(cluster: &Wired, node: NodeId) {
    let cluster_id = Bytes::copy_from_slice(cluster.record.cluster_id().as_bytes());
    let request = RetireRequest { cluster_id, node_id: Bytes::copy_from_slice(node.as_bytes()) };
    pod_of(cluster, node).admin().retire(shown(request)).await.unwrap();
}

async fn reports(cluster: &Wired) -> Reports {
    let mut reports = Reports::new();
    for node in change::to_ask(&cluster.record) {
        reports.insert(node, Some(report(&pod_of(cluster, node).status().await)));
    }
    reports
}

fn report(status: &NodeStatus) -> MemberReport {
    let acked = status.acked.as_ref().map(|acked| stamp(Some(acked)).unwrap());
    let synced = status.target.as_ref().map(|target| Synced {
        id: stamp(target.target.as_ref()).unwrap().id,
        partitions: target.partitions_synced,
        wanted: target.partitions_wanted,
    });
    let handed_over = status.hand_over.as_ref().filter(|hand_over| hand_over.done);
    let barred = match &status.record[..] {
        [] => BTreeSet::new(),
        record => Record::from_json(std::str::from_utf8(record).unwrap()).unwrap().lost_ids().collect(),
    };
    MemberReport {
        node_id: NodeId(status.node_id[..].try_into().unwrap()),
        acked: acked.map(|sender| (sender.stamp, sender.id)),
        barred,
        synced,
        handed_over: handed_over.map(|done| stamp(done.committed.as_ref()).unwrap().id),
        retired: status.stage() == Stage::Retired,
        hints: status.hints,
    }
}
