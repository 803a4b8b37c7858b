//! A key that grew to more than 64 MiB of versions while its members were cut off from each other: it is read, repaired,
//! moved to a new member, read there, and settled.

use std::collections::BTreeSet;
use std::time::Instant;

use bytes::Bytes;
use dynamo_client::change::Look;
use dynamo_client::{Admin, Client, Context, Error, Options, ReadOptions, WriteOptions};
use dynamo_cluster_tests::{Bench, PATIENCE};
use dynamo_ring::{Member, NodeId, Partition, Position};

const MIB: usize = 1 << 20;
/// What each member takes while it is alone: three of them have more than 64 MiB together.
const EACH: u8 = 24;
const LEAST: usize = 64 * MIB;

/// A version that nobody else writes: which member took it, and its number there.
fn value(member: u8, n: u8) -> Bytes {
    let mut value = vec![n; MIB];
    value[0] = member;
    value.into()
}

/// A key of a partition that moves to `joining`, by the layout that is to come.
async fn key_that_moves(bench: &Bench, joining: Member) -> (String, Partition) {
    let record = bench.look().await.record;
    let node = joining.node_id;
    let members: Vec<Member> = record.stable().members().iter().cloned().chain([joining]).collect();
    let target = record.propose(&members).unwrap();
    let layout = &target.target().unwrap().layout;
    let q = layout.partitions();
    let keys = (0..).map(|n| format!("cart-{n}"));
    let mut keys = keys.map(|key| (Position::of(key.as_bytes()).partition(q), key));
    let (partition, key) = keys.find(|(partition, _)| layout.holds(&node, *partition)).unwrap();
    (key, partition)
}

/// The versions that a client of this member alone sees.
async fn versions(bench: &Bench, ordinal: u16, key: &str) -> (BTreeSet<(u8, u8)>, usize, Context) {
    let client = only(bench, ordinal).await;
    let read = ReadOptions { deadline: Some(PATIENCE), ..ReadOptions::default() };
    let found = client.get(key.as_bytes(), &read).await.unwrap();
    let bytes = found.siblings.iter().map(|sibling| sibling.value.len()).sum();
    let versions = found.siblings.iter().map(|sibling| (sibling.value[0], sibling.value[1])).collect();
    (versions, bytes, found.context)
}

/// A client that knows this member and no other.
async fn only(bench: &Bench, ordinal: u16) -> Client {
    let attempt = std::time::Duration::from_secs(15);
    let options = Options { direct: false, deadline: PATIENCE, attempt, ..Options::default() };
    Client::connect([bench.cluster.address(ordinal).unwrap()], options).await.unwrap()
}

fn connected(look: &Look, node: &NodeId) -> usize {
    let status = look.statuses.get(node).and_then(Option::as_ref);
    status.map_or(usize::MAX, |status| status.connected.len())
}

/// Until all holders have the same root of this partition, and nobody is owed anything.
async fn alike(bench: &Bench, partition: Partition) {
    let begun = Instant::now();
    loop {
        let look = bench.look().await;
        let hints: u64 = look.statuses.values().flatten().map(|status| status.hints).sum();
        let mut roots = BTreeSet::new();
        for member in look.record.stable().holders(partition) {
            let node = Admin::new(&member.address, &bench.token(), PATIENCE).unwrap();
            for holding in node.holdings(&[partition]).await.unwrap() {
                roots.insert((holding.root, holding.keys, holding.bytes));
            }
        }
        if hints == 0 && roots.len() == 1 {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "not alike within {PATIENCE:?}: {hints} hints, {roots:?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_64_mib_is_read_repaired_moved_and_settled() {
    let flags = ["--max-sibling-bytes", "25165824", "--anti-entropy-interval-ms", "1000"];
    let mut bench = Bench::start(3, &flags).await;
    bench.cluster.start(3).unwrap();
    bench.answers(3).await;
    let address = bench.cluster.address(3).unwrap();
    let status = bench.cluster.driver().status(&address).await.unwrap();
    let node_id = NodeId(status.node_id[..].try_into().unwrap());
    let joining = Member { name: status.name, node_id, zone: String::new(), address, weight: 1 };
    let (key, partition) = key_that_moves(&bench, joining.clone()).await;

    // Each alone, while the two others are frozen: nothing passes between them.
    let members: Vec<NodeId> =
        bench.look().await.record.stable().members().iter().map(|m| m.node_id).collect();
    let by_ordinal = async |bench: &Bench, ordinal: u16| {
        let address = bench.cluster.address(ordinal).unwrap();
        let status = bench.cluster.driver().status(&address).await.unwrap();
        NodeId(status.node_id[..].try_into().unwrap())
    };
    let mut ids = Vec::new();
    for ordinal in 0..3 {
        ids.push(by_ordinal(&bench, ordinal).await);
    }
    assert_eq!(ids.iter().collect::<BTreeSet<_>>(), members.iter().collect());
    for ordinal in 0..3 {
        bench.cluster.nodes().get_mut(&ordinal).unwrap().freeze().unwrap();
    }
    let write = WriteOptions { w: Some(1), ..WriteOptions::default() };
    for ordinal in 0..3u16 {
        bench.cluster.nodes().get_mut(&ordinal).unwrap().thaw().unwrap();
        bench.wait("alone", |look| connected(look, &ids[usize::from(ordinal)]) == 0).await;
        let client = only(&bench, ordinal).await;
        for n in 0..EACH {
            let member = u8::try_from(ordinal).unwrap();
            client.put(key.as_bytes(), value(member, n), &Context::default(), &write).await.unwrap();
        }
        let full = client.put(key.as_bytes(), value(9, 9), &Context::default(), &write).await;
        assert!(matches!(full, Err(Error::TooManyVersions { .. })), "its own copy is full: {full:?}");
        bench.cluster.nodes().get_mut(&ordinal).unwrap().freeze().unwrap();
    }
    for ordinal in 0..3 {
        bench.cluster.nodes().get_mut(&ordinal).unwrap().thaw().unwrap();
    }

    // Read, and repaired: by hints, reads or anti-entropy, whoever comes first.
    let all: BTreeSet<(u8, u8)> = (0..3).flat_map(|member| (0..EACH).map(move |n| (member, n))).collect();
    alike(&bench, partition).await;
    for ordinal in 0..3 {
        let (found, bytes, _) = versions(&bench, ordinal, &key).await;
        assert_eq!(found, all);
        assert!(bytes > LEAST);
    }

    // Moved, and read where it is now.
    bench.settle(4).await;
    let look = bench.look().await;
    assert!(look.record.stable().holds(&joining.node_id, partition), "it has moved");
    alike(&bench, partition).await;
    let admin = Admin::new(&joining.address, &bench.token(), PATIENCE).unwrap();
    let there = admin.inspect(key.as_bytes(), 2).await.unwrap();
    assert_eq!(there.siblings.iter().map(|s| (s.value[0], s.value[1])).collect::<BTreeSet<_>>(), all);
    assert!(there.stored_bytes > LEAST as u64);
    let (found, _, context) = versions(&bench, 3, &key).await;
    assert_eq!(found, all);

    // Settled.
    let client = bench.client().await;
    let written = client.put(key.as_bytes(), "one", &context, &WriteOptions::default()).await.unwrap();
    assert_eq!(written.siblings, 1);
    let read = client.get(key.as_bytes(), &ReadOptions::default()).await.unwrap();
    assert_eq!(read.single().unwrap(), "one");
    alike(&bench, partition).await;
    bench.stop().await;
}
