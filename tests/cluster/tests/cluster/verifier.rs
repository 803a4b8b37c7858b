//! A verifier that could not fail would prove nothing: here something is really lost.

use std::io::Write;

use dynamo_client::{ReadOptions, WriteOptions};
use dynamo_cluster_tests::{Bench, Load};
use dynamo_load::journal::Acknowledged;
use dynamo_load::value::key;
use dynamo_load::verify::{self, Plan};

/// Nothing is going to turn up later in these tests.
fn plan(bench: &Bench) -> Plan {
    Plan { every_replica: Some(bench.token()), settle: std::time::Duration::from_secs(2) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_vanished_is_found_missing_in_the_store_and_on_each_replica() {
    let bench = Bench::start(3, &["--anti-entropy-interval-ms", "500"]).await;
    let (_, journal) = Load::start(&bench, 40, 128, 100).await.end().await;
    bench.verify_whole(&journal).await;

    let client = bench.client().await;
    let victim = key("load-", 7);
    let seen = client.get(victim.as_bytes(), &ReadOptions::default()).await.unwrap();
    let everywhere = WriteOptions { w: Some(3), ..WriteOptions::default() };
    client.delete(victim.as_bytes(), &seen.context, &everywhere).await.unwrap();

    let acknowledged = Acknowledged::read(&journal).unwrap();
    let report = verify::run(&client, &acknowledged, &plan(&bench), |_| {}).await.unwrap();
    assert_eq!((report.lost, report.replicas_wrong, report.found), (1, 3, report.keys - 1), "{report:#?}");
    assert!(report.lost_keys[0].starts_with(&victim), "{report:#?}");
    assert!(!report.passed(true) && !report.passed(false));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_the_store_never_saw_is_found_missing() {
    let bench = Bench::start(3, &[]).await;
    let (_, journal) = Load::start(&bench, 10, 128, 50).await.end().await;
    let mut file = std::fs::OpenOptions::new().append(true).open(&journal).unwrap();
    file.write_all(b"3 4000000\n").unwrap();

    let client = bench.client().await;
    let acknowledged = Acknowledged::read(&journal).unwrap();
    let report = verify::run(&client, &acknowledged, &plan(&bench), |_| {}).await.unwrap();
    assert_eq!((report.lost, report.replicas_wrong), (1, 3), "{report:#?}");
    assert!(report.roots_equal, "the replicas agree with each other; they are all wrong");
    bench.stop().await;
}
