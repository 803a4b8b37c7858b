//! Members that die, hang and come back, while clients go on.

use std::time::Duration;

use dynamo_client::{Client, Context, Error, Options, WriteOptions};
use dynamo_cluster_tests::{Bench, Load};

/// Hints of all members that answer.
fn hints(look: &dynamo_client::change::Look) -> u64 {
    look.statuses.values().flatten().map(|status| status.hints).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_of_three_killed_writes_go_on_and_it_catches_up() {
    let mut bench = Bench::start(3, &["--anti-entropy-interval-ms", "1000"]).await;
    let mut load = Load::start(&bench, 300, 512, 300).await;
    bench.kill(1).await;
    load.more(400).await;
    bench.wait("hinted", |look| hints(look) > 0).await;
    bench.restart(1).await;
    load.more(200).await;
    let (line, journal) = load.end().await;
    assert_eq!(line.failed, 0, "two of three are enough for every request: {line:?}");
    bench.wait("free of hints", |look| look.statuses.values().all(Option::is_some) && hints(look) == 0).await;
    bench.verify_whole(&journal).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_hangs_is_worked_around_as_one_that_died() {
    let mut bench = Bench::start(3, &["--anti-entropy-interval-ms", "1000"]).await;
    let mut load = Load::start(&bench, 200, 512, 200).await;
    bench.cluster.nodes().get_mut(&2).unwrap().freeze().unwrap();
    load.more(300).await;
    bench.cluster.nodes().get_mut(&2).unwrap().thaw().unwrap();
    load.more(100).await;
    let (line, journal) = load.end().await;
    assert_eq!(line.failed, 0, "{line:?}");
    bench.verify_whole(&journal).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_two_of_three_killed_writes_are_refused_and_what_was_acknowledged_stays() {
    let mut bench = Bench::start(3, &[]).await;
    let load = Load::start(&bench, 100, 128, 100).await;
    let (_, journal) = load.end().await;
    bench.kill(0).await;
    bench.kill(1).await;
    let client = Client::connect([bench.cluster.address(2).unwrap()], Options::default()).await.unwrap();
    let options = WriteOptions { deadline: Some(Duration::from_secs(3)), ..WriteOptions::default() };
    let refused = client.put(b"k", "v", &Context::default(), &options).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable { .. }), "one copy is not two: {refused}");
    bench.restart(0).await;
    bench.restart(1).await;
    bench.verify_whole(&journal).await;
    bench.stop().await;
}
