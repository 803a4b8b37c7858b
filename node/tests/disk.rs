//! Disks that are full, and disks that fail, under whole nodes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say so")]

mod engines;

use std::time::Duration;

use dynamo_node::engine::Settings;
use dynamo_proto::v1::kv_server::Kv;
use dynamo_proto::v1::{GetRequest, PutRequest};
use engines::{Engines, PASS, eventually, figure, put};
use tonic::{Code, Request};
use tonic_types::StatusExt;

async fn values(engines: &Engines, i: u8, key: &str) -> Vec<Vec<u8>> {
    let mut values: Vec<_> =
        engines.get(i, key).await.siblings.into_iter().map(|sibling| sibling.value.to_vec()).collect();
    values.sort();
    values
}

#[tokio::test]
async fn a_full_disk_turns_writes_away_reads_go_on_and_so_do_writes_when_there_is_room() {
    let engines = Engines::form(3).await;
    engines.put(0, PutRequest { w: Some(3), ..put("k", "before") }).await;
    let full = &engines.machine(0).store;
    full.set_full(true);
    let refused = engines.engine(0).kv.put(Request::new(put("k", "x"))).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.reason, "DISK");
    assert!(refused.message().contains("the disk is full"), "{}", refused.message());
    assert_eq!(values(&engines, 0, "k").await, [b"before"]);

    // The others go on, and owe it what it could not take.
    let written = engines.put(1, put("l", "meanwhile")).await;
    assert_eq!(written.answered, 2);
    let own = GetRequest { r: Some(1), ..GetRequest { key: "l".into(), ..GetRequest::default() } };
    full.set_full(false);
    eventually("it has what it was owed", async || {
        let found = engines.engine(0).kv.get(Request::new(own.clone())).await.unwrap().into_inner();
        found.siblings.len() == 1
    })
    .await;
    assert_eq!(engines.put(0, PutRequest { w: Some(3), ..put("m", "after") }).await.answered, 3);
}

#[tokio::test]
async fn lesson_15_where_a_sync_fails_the_node_says_why_and_the_cluster_goes_on() {
    let mut engines = Engines::form(3).await;
    engines.put(0, PutRequest { w: Some(3), ..put("k", "before") }).await;
    let mut fatal = engines.machine(0).committer.fatal();
    engines.machine(0).store.fail_sync_after(0);
    let refused = engines.engine(0).kv.put(Request::new(put("l", "lost?"))).await;
    let why = fatal.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    assert!(why.contains("a sync to disk failed, the node must stop"), "{why}");
    // It was sent to the others meanwhile: their two disks may be enough. Its own is never counted again.
    if let Err(status) = refused {
        assert_eq!(status.code(), Code::Unavailable);
    }
    let synced = figure(engines.engine(0), "synced_commits_total");
    let again = engines.engine(0).kv.put(Request::new(put("m", "x"))).await.unwrap_err();
    assert_eq!(again.code(), Code::Unavailable);
    assert_eq!(figure(engines.engine(0), "synced_commits_total"), synced, "never tried again");

    // What the process does: it ends at once. The others serve.
    engines.lose(0).await;
    assert_eq!(engines.put(1, put("n", "without it")).await.answered, 2);
    assert_eq!(values(&engines, 2, "k").await, [b"before"]);

    // The next start goes on from what is on disk.
    engines.start(0).await;
    engines.all_up().await;
    let own = GetRequest { key: "n".into(), r: Some(1), ..GetRequest::default() };
    eventually("it has what it missed", async || {
        let found = engines.engine(0).kv.get(Request::new(own.clone())).await.unwrap().into_inner();
        found.siblings.len() == 1
    })
    .await;
    assert_eq!(engines.put(0, PutRequest { w: Some(3), ..put("o", "again") }).await.answered, 3);
}

#[tokio::test]
async fn a_read_whose_client_has_gone_is_dropped() {
    let settings =
        Settings { anti_entropy_interval: PASS, request_cap: Duration::from_mins(10), ..Settings::default() };
    let engines = Engines::form_with(3, settings).await;
    engines.put(0, PutRequest { w: Some(3), ..put("k", "v") }).await;
    // The answers of the two others are under way, and stay there.
    engines.net.hold(0, 1);
    engines.net.hold(0, 2);
    let kv = engines.engine(0).kv.clone();
    let request = GetRequest { key: "k".into(), r: Some(3), ..GetRequest::default() };
    let reading = tokio::spawn(async move { kv.get(Request::new(request)).await });
    eventually("it is under way", async || engines.engine(0).under_way() == 1).await;
    reading.abort();
    assert!(reading.await.unwrap_err().is_cancelled());
    assert_eq!(engines.engine(0).under_way(), 0, "nobody waits for it");
    engines.net.release(0, 1);
    engines.net.release(0, 2);
    assert_eq!(values(&engines, 0, "k").await, [b"v"]);
}
