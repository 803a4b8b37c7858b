//! What a key holds, through put, get and delete, and across a stop of everything.

use dynamo_client::{Context, ReadOptions, Value, WriteOptions};
use dynamo_cluster_tests::Bench;

fn values(read: &Value) -> Vec<&str> {
    let mut values: Vec<_> = read.siblings.iter().map(|s| std::str::from_utf8(&s.value).unwrap()).collect();
    values.sort_unstable();
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_written_replaced_and_deleted() {
    let bench = Bench::start(3, &[]).await;
    let client = bench.client().await;
    let (read, write) = (ReadOptions::default(), WriteOptions::default());
    let none = Context::default();

    assert!(client.get(b"anna", &read).await.unwrap().is_absent());
    let first = client.put(b"anna", "one", &none, &write).await.unwrap();
    assert!(first.answered >= 2 && !first.sloppy);
    let second = client.put(b"anna", "two", &first.context.unwrap(), &write).await.unwrap();
    let seen = client.get(b"anna", &read).await.unwrap();
    assert_eq!(values(&seen), ["two"]);
    client.delete(b"anna", &second.context.unwrap(), &write).await.unwrap();
    assert!(client.get(b"anna", &read).await.unwrap().is_absent());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writes_stand_side_by_side_until_one_has_seen_all_of_them() {
    let bench = Bench::start(3, &[]).await;
    let client = bench.client().await;
    let (read, write) = (ReadOptions::default(), WriteOptions::default());

    let first = client.put(b"cart", "apple", &Context::default(), &write).await.unwrap().context.unwrap();
    // Both have seen the apple, neither the other.
    client.put(b"cart", "apple pear", &first, &write).await.unwrap();
    let beside = client.put(b"cart", "apple fig", &first, &write).await.unwrap();
    assert_eq!((beside.context, beside.siblings), (None, 2), "no context that covers what was never seen");
    let both = client.get(b"cart", &read).await.unwrap();
    assert_eq!(values(&both), ["apple fig", "apple pear"]);
    client.put(b"cart", "apple fig pear", &both.context, &write).await.unwrap();
    assert_eq!(values(&client.get(b"cart", &read).await.unwrap()), ["apple fig pear"]);

    // A write that had seen less than a delete survives it.
    let stale = client.get(b"cart", &read).await.unwrap().context;
    client.put(b"cart", "late", &stale, &write).await.unwrap();
    client.delete(b"cart", &stale, &write).await.unwrap();
    let after = client.get(b"cart", &read).await.unwrap();
    assert_eq!((values(&after), after.tombstones), (vec!["late"], 1));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_the_death_of_every_process() {
    let mut bench = Bench::start(3, &[]).await;
    let client = bench.client().await;
    for i in 0..200u32 {
        let key = i.to_be_bytes();
        client.put(&key, key.to_vec(), &Context::default(), &WriteOptions::default()).await.unwrap();
    }
    for ordinal in 0..3 {
        bench.kill(ordinal).await;
    }
    bench.settle(3).await;
    let client = bench.client().await;
    for i in 0..200u32 {
        let key = i.to_be_bytes();
        let read = client.get(&key, &ReadOptions::default()).await.unwrap();
        assert_eq!(read.single().map(AsRef::as_ref), Some(&key[..]), "key {i}");
    }
    bench.stop().await;
}
