//! A member that comes back at another address.

use std::net::Ipv4Addr;

use dynamo_client::{Context, WriteOptions};
use dynamo_cluster_tests::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_came_back_at_another_address_is_found_there_by_the_others() {
    let mut bench = Bench::start(3, &[]).await;
    let status = bench.cluster.driver().status(&bench.cluster.address(2).unwrap()).await.unwrap();
    let moved = status.node_id;
    bench.kill(2).await;
    let connected = |look: &dynamo_client::change::Look| {
        let others = look.statuses.values().flatten();
        others.filter(|status| status.connected.contains(&moved)).count()
    };
    bench.wait("missed", |look| connected(look) == 0).await;

    // The layout still has the old address, where nobody listens.
    bench.cluster.start_moved(2, Ipv4Addr::new(127, 0, 0, 2).into()).unwrap();
    bench.wait("found", |look| connected(look) == 2).await;
    let client = bench.client().await;
    let all = WriteOptions { w: Some(3), strict: true, ..WriteOptions::default() };
    client.put(b"key", "on all three", &Context::default(), &all).await.unwrap();
    bench
        .wait("known by its address", |look| {
            let heard = look.statuses.values().flatten().flat_map(|status| &status.heard_of);
            let of_it = heard.filter(|heard| heard.node_id == moved);
            let at = |heard: &dynamo_proto::v1::HeardOf| {
                let told = heard.introduction.as_ref();
                told.is_some_and(|told| told.process == 2 && told.addresses[0].starts_with("127.0.0.2:"))
            };
            of_it.filter(|heard| at(heard)).count() == 2
        })
        .await;
    bench.stop().await;
}
