//! The shopping cart of the client's example, scene by scene, on real processes.

use dynamo_cluster_tests::Bench;

#[path = "../../../../client/examples/shopping_cart/cart.rs"]
mod scenes;

use scenes::Scene;

fn scene(versions: &[&[&str]], merged: &[&str]) -> Scene {
    let owned = |items: &[&str]| items.iter().map(|&item| item.to_owned()).collect::<Vec<_>>();
    Scene { versions: versions.iter().map(|items| owned(items)).collect(), merged: owned(merged) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_union_keeps_adds_and_brings_removes_back_and_an_observed_remove_set_does_not() {
    let bench = Bench::start(3, &[]).await;
    let client = bench.client().await;
    let union = scenes::both_adds_stay(&client).await.unwrap();
    let versions: [&[&str]; 2] = [&["milk", "eggs", "apples"], &["milk", "eggs", "bread"]];
    assert_eq!(union, scene(&versions, &["apples", "bread", "eggs", "milk"]));

    let back = scenes::the_deleted_item_comes_back(&client).await.unwrap();
    assert_eq!(back, scene(&[&["eggs"], &["milk", "eggs", "apples"]], &["apples", "eggs", "milk"]));

    let away = scenes::the_deleted_item_stays_away(&client).await.unwrap();
    assert_eq!(away, scene(&[&["apples", "eggs", "milk"], &["eggs"]], &["apples", "eggs"]));

    let many = scenes::no_add_of_many_is_lost(&client, 10).await.unwrap();
    let all: Vec<String> = (0..10).map(|device| format!("item {device:02}")).collect();
    assert_eq!(many.merged, all);
    bench.stop().await;
}
