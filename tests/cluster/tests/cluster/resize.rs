//! Changes of size under load, and what may go wrong in the middle of one.

use dynamo_client::change::Look;
use dynamo_cluster_tests::{Bench, Load};
use dynamo_ring::Step;

/// Slow enough that "in mid-move" is a time that a test can hit.
const SLOW: [&str; 4] = ["--rebalance-max-bytes-per-second", "400000", "--anti-entropy-interval-ms", "1000"];

/// Some of the target's bytes have been copied, and not all of its partitions.
fn mid_move(look: &Look) -> bool {
    let progress: Vec<_> = look.statuses.values().flatten().filter_map(|s| s.target.as_ref()).collect();
    look.record.step() == Step::Proposed
        && progress.iter().any(|p| p.bytes_pulled > 0)
        && progress.iter().any(|p| p.partitions_synced < p.partitions_wanted)
}

fn retired(look: &Look) -> usize {
    look.record.named().iter().filter(|n| n.fate == dynamo_ring::Fate::Retired).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_to_five_to_three_under_load_loses_nothing_and_lets_two_retire() {
    let mut bench = Bench::start(3, &["--anti-entropy-interval-ms", "1000"]).await;
    let mut load = Load::start(&bench, 1500, 512, 400).await;
    bench.settle(5).await;
    load.more(200).await;
    assert_eq!(bench.cluster.nodes().len(), 5);
    bench.settle(3).await;
    load.more(200).await;
    let look = bench.look().await;
    assert_eq!((look.record.stable().members().len(), retired(&look)), (3, 2));
    assert_eq!(bench.cluster.nodes().len(), 3, "who has retired was stopped");
    let (line, journal) = load.end().await;
    assert_eq!(line.failed, 0, "a planned change costs no request: {line:?}");
    bench.verify_whole(&journal).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_mind_in_mid_move_is_obeyed() {
    let mut bench = Bench::start(3, &SLOW).await;
    let mut load = Load::start(&bench, 1200, 1024, 200).await;
    bench.until(5, "in mid-move", mid_move).await;
    bench.settle(3).await;
    load.more(100).await;
    let (line, journal) = load.end().await;
    assert_eq!(line.failed, 0, "{line:?}");
    let look = bench.look().await;
    assert_eq!((look.record.stable().members().len(), retired(&look)), (3, 2));
    bench.verify_whole(&journal).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_puller_killed_in_mid_transfer_goes_on_where_it_was() {
    let mut bench = Bench::start(3, &SLOW).await;
    let load = Load::start(&bench, 1200, 1024, 200).await;
    bench.until(4, "in mid-move", mid_move).await;
    bench.kill(3).await;
    bench.settle(4).await;
    let (line, journal) = load.end().await;
    assert_eq!(line.failed, 0, "{line:?}");
    bench.verify_whole(&journal).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_holder_killed_in_mid_transfer_holds_the_change_up_and_loses_nothing() {
    let mut bench = Bench::start(3, &SLOW).await;
    let mut load = Load::start(&bench, 1200, 1024, 200).await;
    bench.until(4, "in mid-move", mid_move).await;
    bench.kill(0).await;
    load.more(200).await;
    assert!(!bench.look().await.record.settled(), "nothing is finished without its word");
    bench.settle(4).await;
    let (line, journal) = load.end().await;
    assert_eq!(line.failed, 0, "{line:?}");
    bench.verify_whole(&journal).await;
    bench.stop().await;
}
