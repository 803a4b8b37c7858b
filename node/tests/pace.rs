//! Repairs beside requests, on whole nodes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod engines;

use std::sync::atomic::{AtomicUsize, Ordering};

use dynamo_node::store::{MergeMany, Put};
use dynamo_node::version::VersionVector;
use engines::{Engines, eventually, put};
use futures::future::join_all;

/// Keys that the member without its disk has lost.
const LOST: usize = 4000;
/// Clients side by side, and the requests that each makes at least.
const CLIENTS: usize = 16;
const REQUESTS: usize = 60;

/// Members 0 and 1 have what they always had, and member 2 has nothing of it.
async fn lose_a_disk(engines: &Engines) {
    let (healthy, other) = (engines.machine(0), engines.machine(1));
    let lost = (0..LOST).map(|n| Put {
        key: format!("lost-{n}").into(),
        context: VersionVector::new(),
        value: Some(vec![7; 1024].into()),
        write_id: None,
        now_ms: 1,
        expires_at_ms: None,
        hint: None,
    });
    let lost: Vec<_> = lost.collect();
    for some in lost.chunks(200) {
        let tickets = some.iter().map(|put| healthy.committer.submit(put.clone()).unwrap().durable());
        assert!(join_all(tickets).await.iter().all(Result::is_ok));
    }
    for partition in engines.record.stable().partitions().iter() {
        let entries = healthy.engine.local.scan(partition, None, usize::MAX).unwrap().entries;
        let merge = MergeMany { entries, hint: None, from: None };
        other.committer.submit(merge).unwrap().durable().await.unwrap();
    }
}

/// Requests fail the test by panicking when they are turned away.
#[tokio::test(flavor = "multi_thread")]
async fn lesson_9_after_the_loss_of_a_disk_repair_turns_no_request_away() {
    let engines = Engines::form(3).await;
    lose_a_disk(&engines).await;
    let (made, repaired) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let client = |c: usize| {
        let (engines, made, repaired) = (&engines, &made, &repaired);
        async move {
            for n in 0.. {
                if n >= REQUESTS && repaired.load(Ordering::Relaxed) == 1 {
                    return;
                }
                let at = u8::try_from((c + n) % 3).unwrap();
                let key = format!("live-{c}-{}", n % 10);
                engines.put(at, put(&key, "v")).await;
                assert!(!engines.get(at, &key).await.siblings.is_empty());
                let context = engines.get(at, &key).await.context;
                engines.put(at, dynamo_proto::v1::PutRequest { context, ..put(&key, "settled") }).await;
                made.fetch_add(4, Ordering::Relaxed);
            }
        }
    };
    let whole = async {
        eventually("what was lost is there again", async || {
            let summaries = engines.engine(2).local.summaries().unwrap();
            let keys: u64 = summaries.iter().map(|(_, summary)| summary.keys).sum();
            keys >= LOST as u64
        })
        .await;
        repaired.store(1, Ordering::Relaxed);
    };
    tokio::join!(whole, join_all((0..CLIENTS).map(client)));
    assert!(made.load(Ordering::Relaxed) >= 4 * CLIENTS * REQUESTS);
    for i in 0..3 {
        let text = engines.engine(i).metrics.text().unwrap();
        assert!(!text.contains("outcome=\"Exhausted\""), "{text}");
        assert!(text.contains("dynamo_background_share_ratio "));
    }
}
