//! The commit thread: its order, its answers, its faults.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::executor::block_on;

use super::*;

/// A committer that the test turns by hand, over a store that holds all partitions.
fn by_hand(queue: QueueLimits) -> (MemoryStore, Committer, Pump) {
    let bench = Bench::new();
    let (committer, pump) =
        Committer::manual(Arc::new(bench.store.clone()), Limits::default(), queue).unwrap();
    (bench.store, committer, pump)
}

#[test]
fn applied_is_answered_before_the_sync_and_synced_after() {
    let (store, committer, mut pump) = by_hand(QueueLimits::default());
    let (commit, synced) = (committer.last_commit(), committer.last_synced());
    assert_eq!(commit, synced);
    let mut ticket = committer.submit(blind("k", "v")).unwrap();
    assert!(pump.write());
    let applied = block_on(ticket.applied()).unwrap();
    assert_eq!(applied.commit, commit + 1);
    assert_eq!((committer.last_commit(), committer.last_synced()), (commit + 1, synced));
    assert!(ticket.synced.try_recv().is_err());
    assert_eq!(Local::new(Arc::new(store.clone())).encoded(b"k").unwrap(), Some(applied.outcome.encoded));
    pump.sync();
    assert_eq!(block_on(ticket.synced()), Ok(()));
    assert_eq!(committer.last_synced(), commit + 1);
    assert_eq!(store.unsynced(), 0);
    assert!(!pump.write(), "nothing waits");
}

#[test]
fn one_batch_takes_all_that_waits_and_one_failure_spoils_no_other() {
    let (_, committer, mut pump) = by_hand(QueueLimits::default());
    let good = committer.submit(blind("a", "v")).unwrap();
    let bad = committer.submit(blind("", "v")).unwrap();
    let also_good = committer.submit(blind("b", "v")).unwrap();
    pump.write();
    pump.sync();
    let (good, also_good) = (block_on(good.durable()).unwrap(), block_on(also_good.durable()).unwrap());
    assert_eq!(good.commit, also_good.commit);
    assert_eq!(block_on(bad.durable()).unwrap_err(), OpError::Key(KeyError::Length(0)));
}

#[test]
fn too_much_is_refused_at_once() {
    let (_, committer, mut pump) = by_hand(QueueLimits { waiting: 2, ..QueueLimits::default() });
    let tickets = [committer.submit(blind("a", "v")).unwrap(), committer.submit(blind("b", "v")).unwrap()];
    assert_eq!(committer.submit(blind("c", "v")).unwrap_err(), SubmitError::Overloaded);
    assert_eq!(committer.depth().0, 2);
    pump.write();
    drop(tickets);
    drop(committer.submit(blind("c", "v")).unwrap());
    pump.write();
    drop(pump);
    assert_eq!(committer.submit(blind("d", "v")).unwrap_err(), SubmitError::Stopped);
}

#[test]
fn lesson_15_a_sync_that_failed_is_never_tried_again() {
    let (store, committer, mut pump) = by_hand(QueueLimits::default());
    let fatal = committer.fatal();
    store.fail_sync_after(0);
    let mut ticket = committer.submit(blind("k", "v")).unwrap();
    let waiting = {
        pump.write();
        committer.submit(blind("l", "v")).unwrap()
    };
    assert!(block_on(ticket.applied()).is_ok());
    let synced = committer.last_synced();
    pump.sync();
    assert!(matches!(block_on(ticket.synced()), Err(OpError::Fatal(_))));
    assert!(matches!(block_on(waiting.durable()), Err(OpError::Fatal(_))));
    assert!(matches!(committer.submit(blind("m", "v")), Err(SubmitError::Fatal(_))));
    assert!(fatal.borrow().as_ref().is_some_and(|why| why.contains("sync")));
    pump.write();
    pump.sync();
    assert_eq!(committer.last_synced(), synced, "what was not synced never counts as synced");
}

/// A disk that takes a sync again after one has failed, as disks do, though what was to be written then is gone.
struct Forgetful {
    store: MemoryStore,
    syncs: AtomicUsize,
}

impl Read for Forgetful {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.store.get(space, key)
    }

    fn range(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: Limit,
    ) -> Result<Vec<Row>, StoreError> {
        self.store.range(space, from, to, limit)
    }
}

impl Store for Forgetful {
    fn snapshot(&self) -> Box<dyn Read> {
        self.store.snapshot()
    }

    fn write(&self, batch: WriteBatch) -> Result<(), StoreError> {
        self.store.write(batch)
    }

    fn sync(&self) -> Result<(), StoreError> {
        // The first is the committer's own, when it starts.
        match self.syncs.fetch_add(1, Ordering::Relaxed) {
            1 => Err(StoreError::SyncFailed("once".to_owned())),
            _ => self.store.sync(),
        }
    }
}

#[test]
fn lesson_15_the_thread_does_not_try_a_failed_sync_again_when_it_ends() {
    let disk = Arc::new(Forgetful { store: Bench::new().store, syncs: AtomicUsize::new(0) });
    let (committer, thread) =
        Committer::start(Arc::<Forgetful>::clone(&disk), Limits::default(), QueueLimits::default()).unwrap();
    let synced = committer.last_synced();
    let written = committer.submit(blind("k", "v")).unwrap();
    assert!(matches!(block_on(written.durable()), Err(OpError::Fatal(_))));
    assert!(thread.stop().is_err());
    assert_eq!(disk.syncs.load(Ordering::Relaxed), 2);
    assert_eq!(committer.last_synced(), synced, "what was not synced never counts as synced");
}

#[test]
fn a_full_disk_refuses_writes_takes_layouts_and_recovers() {
    let (store, committer, mut pump) = by_hand(QueueLimits::default());
    let local = Local::new(Arc::new(store.clone()));
    drop(committer.submit(blind("before", "v")).unwrap());
    pump.write();
    pump.sync();
    store.set_full(true);
    let refused = committer.submit(blind("k", "v")).unwrap();
    let taken = committer.submit(layout([0])).unwrap();
    pump.write();
    pump.sync();
    assert!(matches!(block_on(refused.durable()), Err(OpError::Store(StoreError::Full { .. }))));
    assert!(block_on(taken.durable()).is_ok(), "a full disk must be able to give partitions away");
    assert!(local.encoded(b"before").unwrap().is_some(), "reads go on");
    store.set_full(false);
    let again = committer.submit(layout(0..8)).unwrap();
    let retried = committer.submit(blind("k", "v")).unwrap();
    pump.write();
    pump.sync();
    assert!(block_on(again.durable()).is_ok() && block_on(retried.durable()).is_ok());
    audit(&store);
}

#[test]
fn the_thread_finishes_what_waits_before_it_stops() {
    let bench = Bench::new();
    let store: Arc<dyn Store> = Arc::new(bench.store.clone());
    let (committer, thread) = Committer::start(store, Limits::default(), QueueLimits::default()).unwrap();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let committer = committer.clone();
            std::thread::spawn(move || -> Vec<_> {
                let submit = |n| committer.submit(blind("k", &format!("{writer}-{n}"))).unwrap();
                (0..15).map(submit).collect()
            })
        })
        .collect();
    let tickets: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    thread.stop().unwrap();
    let dots: BTreeSet<u64> =
        tickets.into_iter().map(|ticket| block_on(ticket.durable()).unwrap().outcome.dot.counter).collect();
    assert_eq!(dots, (1..=60).collect(), "every write has a dot of its own, with none left out between");
    assert_eq!(bench.store.unsynced(), 0);
    assert_eq!(committer.submit(blind("k", "v")).unwrap_err(), SubmitError::Stopped);
    audit(&bench.store);
}
