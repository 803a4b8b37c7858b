//! Prints how many puts of 1 KiB a second the commit thread makes durable, with so many under way at one time.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dynamo_node::store::fjall::FjallOptions;
use dynamo_node::store::{
    Committer, DataDirectory, FjallStore, LayoutChange, Limits, Put, QueueLimits, Store,
};
use dynamo_node::version::VersionVector;
use dynamo_ring::Partitions;
use futures::executor::block_on;
use futures::future::try_join_all;

fn main() -> Result<(), Box<dyn Error>> {
    let mount = tempfile::tempdir()?;
    let opened = DataDirectory::open(mount.path(), FjallOptions::default())?;
    let store: Arc<dyn Store> = Arc::<FjallStore>::clone(&opened.store);
    let (committer, thread) = Committer::start(store, Limits::default(), QueueLimits::default())?;
    let partitions = Partitions::new(256)?;
    let record = Bytes::from_static(b"record");
    let held = partitions.iter().collect();
    block_on(committer.submit(LayoutChange { record, partitions, held, puts: Vec::new() })?.durable())?;
    let mut n = 0u32;
    for side_by_side in [1, 16, 256, 1024] {
        let (begun, before) = (Instant::now(), committer.last_commit());
        let mut puts = 0u64;
        while begun.elapsed() < Duration::from_secs(3) {
            let mut tickets = Vec::new();
            for _ in 0..side_by_side {
                n += 1;
                tickets.push(committer.submit(put(n))?.durable());
            }
            block_on(try_join_all(tickets))?;
            puts += side_by_side;
        }
        let (millis, batches) = (begun.elapsed().as_millis().max(1), committer.last_commit() - before);
        let rate = |n: u64| u128::from(n) * 1000 / millis;
        println!("{side_by_side} side by side: {} puts/s, {} batches/s", rate(puts), rate(batches));
    }
    thread.stop()?;
    Ok(())
}

fn put(n: u32) -> Put {
    let (key, value) = (Bytes::from(format!("key-{n}")), Some(Bytes::from("v".repeat(1024))));
    Put {
        key,
        context: VersionVector::new(),
        value,
        write_id: None,
        now_ms: 1,
        expires_at_ms: None,
        hint: None,
    }
}
