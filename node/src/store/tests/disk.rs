//! The store on a real disk: opening, locking, starting again, setting aside.

use futures::executor::block_on;

use super::*;
use crate::store::directory::{consume_clean_mark, new_actor, write_clean_mark};
use crate::store::fjall::FjallOptions;

fn options() -> FjallOptions {
    FjallOptions { reserve_bytes: Some(0), ..FjallOptions::default() }
}

fn start(opened: &Opened) -> (Committer, CommitThread) {
    let store: Arc<dyn Store> = Arc::<FjallStore>::clone(&opened.store);
    Committer::start(store, Limits::default(), QueueLimits::default()).unwrap()
}

fn durable<O: Operation>(committer: &Committer, operation: O) -> O::Outcome {
    block_on(committer.submit(operation).unwrap().durable()).unwrap().outcome
}

#[test]
fn what_was_synced_is_there_at_the_next_start() {
    let mount = tempfile::tempdir().unwrap();
    let opened = DataDirectory::open(mount.path(), options()).unwrap();
    assert!(opened.is_new && !opened.was_clean);
    let identity = opened.identity;
    let (committer, thread) = start(&opened);
    durable(&committer, layout(0..8));
    let tickets: Vec<_> =
        (0..500).map(|n| committer.submit(blind(&format!("k{}", n % 50), "v")).unwrap()).collect();
    for ticket in tickets {
        block_on(ticket.durable()).unwrap();
    }
    let (commit, summaries) =
        (committer.last_commit(), Local::new(opened.store.clone()).summaries().unwrap());
    thread.stop().unwrap();
    write_clean_mark(&*opened.store).unwrap();
    drop((opened, committer));

    let opened = DataDirectory::open(mount.path(), options()).unwrap();
    assert!(opened.was_clean && !opened.is_new);
    assert_eq!(opened.identity, identity);
    audit(&*opened.store);
    let local = Local::new(opened.store.clone());
    assert_eq!(local.summaries().unwrap(), summaries);
    assert_eq!(summaries.iter().map(|(_, summary)| summary.keys).sum::<u64>(), 50);
    let (committer, thread) = start(&opened);
    assert_eq!((committer.last_commit(), committer.last_synced()), (commit, commit));
    let next = durable(&committer, blind("k0", "v"));
    assert_eq!(next.dot.counter, 11, "ten writes came before");
    thread.stop().unwrap();
    drop((opened, local, committer));

    let opened = DataDirectory::open(mount.path(), options()).unwrap();
    assert!(!opened.was_clean, "the mark was consumed, and this stop left none");
    let renewed = new_actor(&*opened.store, opened.identity, ActorId(42)).unwrap();
    assert_eq!(Identity::read(&*opened.store), Ok(Some(renewed)));
    assert_eq!(renewed.node_id, identity.node_id);
}

#[test]
fn a_mark_that_an_older_copy_carries_is_not_clean() {
    let bench = Bench::new();
    write_clean_mark(&bench.store).unwrap();
    bench.run(&blind("k", "v")).unwrap();
    assert_eq!(consume_clean_mark(&bench.store), Ok(false), "something was written after it");
    write_clean_mark(&bench.store).unwrap();
    assert_eq!(consume_clean_mark(&bench.store), Ok(true));
    bench.store.crash();
    assert_eq!(consume_clean_mark(&bench.store), Ok(false), "consumed for good");
}

#[test]
fn two_processes_never_share_a_directory() {
    let mount = tempfile::tempdir().unwrap();
    let opened = DataDirectory::open(mount.path(), options()).unwrap();
    let second = DataDirectory::open(mount.path(), options()).unwrap_err();
    assert!(matches!(second, OpenError::Locked(_)), "{second}");
    drop(opened);
    assert!(DataDirectory::open(mount.path(), options()).is_ok());
}

#[test]
fn lesson_3_names_are_random_and_live_inside_the_data() {
    let mounts = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [a, b] =
        mounts.each_ref().map(|mount| DataDirectory::open(mount.path(), options()).unwrap().identity);
    assert!(a.actor != b.actor && a.node_id != b.node_id, "made at the same moment, of the same name");
    // Wiped, it is another node.
    std::fs::remove_dir_all(mounts[0].path().join("data")).unwrap();
    let wiped = DataDirectory::open(mounts[0].path(), options()).unwrap();
    assert!(wiped.is_new && wiped.identity.node_id != a.node_id && wiped.identity.actor != a.actor);
}

#[test]
fn a_retired_directory_and_one_set_aside_begin_as_new_nodes() {
    let mount = tempfile::tempdir().unwrap();
    let opened = DataDirectory::open(mount.path(), options()).unwrap();
    let first = opened.identity;
    let (committer, thread) = start(&opened);
    durable(&committer, PutMeta::retired());
    thread.stop().unwrap();
    drop((opened, committer));

    let opened = DataDirectory::open(mount.path(), options()).unwrap();
    assert!(opened.is_new && opened.identity.node_id != first.node_id);
    assert!(opened.set_aside.as_ref().is_some_and(|aside| aside.join("version").exists() || aside.is_dir()));
    let second = opened.identity;
    let Opened { directory, store, .. } = opened;
    drop(store);
    let aside = directory.set_aside().unwrap().unwrap();
    assert_eq!(Identity::read(&FjallStore::open(&aside, options()).unwrap()), Ok(Some(second)));
    let opened = DataDirectory::open(mount.path(), options()).unwrap();
    assert!(opened.is_new && opened.set_aside.is_none() && opened.identity.node_id != second.node_id);
}

#[test]
fn a_database_that_was_never_finished_is_begun_anew() {
    let mount = tempfile::tempdir().unwrap();
    std::fs::create_dir(mount.path().join("data.new")).unwrap();
    std::fs::write(mount.path().join("data.new/0.jnl"), b"half").unwrap();
    assert!(DataDirectory::open(mount.path(), options()).unwrap().is_new);
}

#[test]
fn a_snapshot_does_not_see_what_comes_later() {
    let mount = tempfile::tempdir().unwrap();
    let disk = FjallStore::open(mount.path(), options()).unwrap();
    let memory = MemoryStore::new();
    for store in [&disk as &dyn Store, &memory] {
        let write = |key: &'static str, value: Option<&'static str>| {
            let row = (Space::Data, Bytes::from(key), value.map(Bytes::from));
            store.write(WriteBatch { rows: vec![row], reserve: false }).unwrap();
        };
        write("a", Some("1"));
        write("b", Some("2"));
        let snapshot = store.snapshot();
        write("a", Some("3"));
        write("b", None);
        write("c", Some("4"));
        assert_eq!(snapshot.get(Space::Data, b"a"), Ok(Some(Bytes::from("1"))));
        assert_eq!(all(&*snapshot, Space::Data).len(), 2);
        assert_eq!(all(&*snapshot, Space::Birth), []);
        let one = store.range(Space::Data, Bound::Included(b"a"), Bound::Unbounded, Limit::rows(1)).unwrap();
        assert_eq!(one, [(Bytes::from("a"), Bytes::from("3"))]);
        let none = store.range(Space::Data, Bound::Excluded(b"c"), Bound::Excluded(b"a"), Limit::rows(1));
        assert_eq!(none, Ok(vec![]), "a range the wrong way round is empty");
    }
}

#[test]
fn room_is_kept_back_and_half_of_it_is_for_what_must_not_fail() {
    let mount = tempfile::tempdir().unwrap();
    let free = FjallStore::open(mount.path(), options()).unwrap().room().unwrap().0;
    // More than is free, but not twice as much.
    let reserve_bytes = Some(free + free / 2);
    let store = FjallStore::open(mount.path(), FjallOptions { reserve_bytes, ..options() }).unwrap();
    let batch = |reserve| {
        let row = (Space::Meta, Bytes::from("k"), Some(Bytes::from("v")));
        WriteBatch { rows: vec![row], reserve }
    };
    assert!(matches!(store.write(batch(false)), Err(StoreError::Full { .. })));
    assert_eq!(store.write(batch(true)), Ok(()));
    assert_eq!(store.sync(), Ok(()));
    let long = WriteBatch { rows: vec![(Space::Meta, vec![0; 70_000].into(), None)], reserve: true };
    assert!(matches!(store.write(long), Err(StoreError::TooLong { key: 70_000, .. })));
}
