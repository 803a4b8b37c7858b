//! Merkle rows that a fault has scratched or lost, on whole nodes: no request is refused for it, the trees are made anew
//! from the data, and all replicas become alike.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod engines;

use std::ops::Bound;

use dynamo_node::store::{Limit, Put, Read, Space, Store, WriteBatch};
use dynamo_node::version::VersionVector;
use dynamo_proto::v1::PutRequest;
use engines::{Engines, eventually, figure, put};

fn key(n: usize) -> String {
    format!("key-{n}")
}

/// Every third row of the trees of a member goes, every third is scratched.
fn spoil(engines: &Engines, i: u8) -> usize {
    let store = &engines.machine(i).store;
    let nodes =
        store.range(Space::Merkle, Bound::Unbounded, Bound::Unbounded, Limit::rows(usize::MAX)).unwrap();
    let spoilt = nodes.iter().enumerate().filter_map(|(n, (key, row))| match n % 3 {
        0 => None,
        1 => Some((Space::Merkle, key.clone(), None)),
        _ => {
            let mut row = row.to_vec();
            let middle = row.len() / 2;
            row[middle] ^= 0x10;
            Some((Space::Merkle, key.clone(), Some(row.into())))
        }
    });
    let rows: Vec<_> = spoilt.collect();
    let count = rows.len();
    store.write(WriteBatch { rows, reserve: false }).unwrap();
    count
}

/// Whether all members have the same trees, and no other than those that follow from their data.
fn alike(engines: &Engines) -> bool {
    let whole = |i| {
        let summaries = engines.engine(i).local.summaries().unwrap();
        summaries.iter().all(|(_, summary)| summary.tree().is_some()).then_some(summaries)
    };
    let rows = engines.rows(Space::Merkle);
    whole(0).is_some() && whole(0) == whole(1) && whole(1) == whole(2) && rows.iter().all(|n| *n == rows[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_trees_are_scratched_refuses_nothing_and_comes_right() {
    let engines = Engines::form(3).await;
    for n in 0..400 {
        engines.put(u8::try_from(n % 3).unwrap(), put(&key(n), "v")).await;
    }
    eventually("all are alike before", async || alike(&engines)).await;
    assert!(spoil(&engines, 0) > 20);
    // Every one of these is acknowledged by all three, the scratched one too: a refusal would fail the test.
    for n in 0..400 {
        let request = PutRequest { w: Some(3), ..put(&key(n), "again") };
        assert_eq!(engines.put(u8::try_from(n % 3).unwrap(), request).await.answered, 3);
    }
    eventually("all are alike again", async || alike(&engines)).await;
    assert!(figure(engines.engine(0), "merkle_rebuilds_total") > 0);
    for n in 0..400 {
        assert_eq!(engines.get(1, &key(n)).await.siblings.len(), 2, "both writes of {}", key(n));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_trees_are_gone_shows_nothing_wrong_to_others() {
    let engines = Engines::form(3).await;
    for n in 0..200 {
        engines.put(u8::try_from(n % 3).unwrap(), put(&key(n), "v")).await;
    }
    eventually("all are alike before", async || alike(&engines)).await;
    let store = &engines.machine(2).store;
    let nodes =
        store.range(Space::Merkle, Bound::Unbounded, Bound::Unbounded, Limit::rows(usize::MAX)).unwrap();
    let rows = nodes.into_iter().map(|(key, _)| (Space::Merkle, key, None)).collect();
    store.write(WriteBatch { rows, reserve: false }).unwrap();
    // Others come to differ from it, and go down a tree of which nothing is there.
    for n in 0..200 {
        let written = Put {
            key: key(n).into(),
            context: VersionVector::new(),
            value: Some("only here".into()),
            write_id: None,
            now_ms: 1,
            expires_at_ms: None,
            hint: None,
        };
        engines.machine(0).committer.submit(written).unwrap().durable().await.unwrap();
    }
    eventually("all are alike again", async || alike(&engines)).await;
    assert!(figure(engines.engine(2), "merkle_rebuilds_total") > 0);
    assert_eq!(engines.get(2, &key(7)).await.siblings.len(), 2);
}
