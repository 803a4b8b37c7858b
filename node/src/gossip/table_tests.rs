use super::*;

fn node(n: u8) -> NodeId {
    NodeId([n; 16])
}

fn commits(last: u64) -> Fact {
    Fact::Commits { last, synced: last }
}

fn address(text: &str) -> Fact {
    Fact::Addresses(vec![text.to_owned()].into())
}

fn table(me: u8, others: impl IntoIterator<Item = u8>) -> Table {
    let mut table = Table::new(node(me), 1);
    table.set_members(&others.into_iter().map(node).collect());
    table
}

const ROOM: usize = 1 << 20;

/// `to` asks `from`, once.
fn pull(to: &mut Table, from: &mut Table, bytes: usize) -> Vec<News> {
    let delta = from.lacking(&to.digest(), bytes);
    to.merge(delta)
}

#[test]
fn only_what_the_other_lacks_is_sent() {
    let (mut a, mut b) = (table(1, [2]), table(2, [1]));
    a.tell(address("one"));
    a.tell(commits(1));
    assert_eq!(pull(&mut b, &mut a, ROOM), [News { node: node(1), process: true, addresses: true }]);
    assert_eq!(b.of(&node(1)), Some(a.own()));
    assert_eq!(a.lacking(&b.digest(), ROOM), []);

    a.tell(commits(1));
    assert_eq!(a.lacking(&b.digest(), ROOM), [], "it had been said");
    a.tell(commits(2));
    let update = Update { node: node(1), process: 1, from: 2, version: 3, facts: vec![(3, commits(2))] };
    assert_eq!(a.lacking(&b.digest(), ROOM), [update]);
    a.beat();
    assert_eq!(a.lacking(&b.digest(), ROOM)[0].version, 4);
    pull(&mut b, &mut a, ROOM);
    assert_eq!(b.of(&node(1)), Some(a.own()));
}

#[test]
fn a_message_that_is_cut_short_leaves_no_gap_and_the_next_goes_on_behind_it() {
    let mut a = table(1, [2]);
    for n in 0..8 {
        a.tell(address(&format!("{n}.example:7070")));
        a.tell(commits(n));
    }
    let mut b = table(2, [1]);
    let bytes = AROUND + commits(0).weight();
    pull(&mut b, &mut a, bytes);
    let (first, known) = (a.own().facts[0].clone(), b.of(&node(1)).unwrap().clone());
    assert_eq!((known.version, &known.facts[..]), (first.0, &[first][..]), "the oldest first");
    pull(&mut b, &mut a, bytes);
    assert_eq!(b.of(&node(1)), Some(a.own()));

    // Of many members each has a turn, however small the message is.
    let mut many = table(1, 2..=60);
    for n in 2..=60 {
        let mut one = table(n, [1]);
        one.tell(commits(n.into()));
        pull(&mut many, &mut one, ROOM);
    }
    let mut reader = table(61, 1..=60);
    for _ in 0..60 {
        pull(&mut reader, &mut many, AROUND + commits(0).weight());
    }
    assert_eq!(reader.digest().len(), 60, "itself, and the 59 that tell something");
}

#[test]
fn a_message_stays_within_its_bound() {
    let mut many = table(1, 2..=200);
    for n in 2..=200 {
        let mut one = table(n, [1]);
        one.tell(address("10.0.0.1:7070"));
        pull(&mut many, &mut one, ROOM);
    }
    let weight = |delta: &Delta| -> usize {
        delta.iter().map(|u| AROUND + u.facts.iter().map(|(_, f)| f.weight()).sum::<usize>()).sum()
    };
    for bytes in [0, 100, 1000, 10_000] {
        assert!(weight(&many.lacking(&[], bytes)) <= bytes);
    }
    assert_eq!(many.lacking(&[], ROOM).len(), 199);
}

#[test]
fn what_begins_behind_a_gap_is_not_taken() {
    let (mut a, mut b) = (table(1, [2]), table(2, [1]));
    a.tell(commits(1));
    pull(&mut b, &mut a, ROOM);
    a.tell(address("one"));
    let late = a.lacking(&b.digest(), ROOM);
    let mut fresh = table(3, [1]);
    assert_eq!(fresh.merge(late.clone()), [], "nothing is known before it");
    assert_eq!(b.merge(late.clone()).len(), 1);
    assert_eq!(b.merge(late), [], "a second time it is old");
}

#[test]
fn a_later_start_of_a_node_takes_the_place_of_an_earlier_one() {
    let (mut old, mut b) = (table(1, [2]), table(2, [1]));
    (0..20).for_each(|n| old.tell(commits(n)));
    old.tell(address("old"));
    pull(&mut b, &mut old, ROOM);
    let stale = old.lacking(&[], ROOM);

    let mut new = Table::new(node(1), 2);
    new.tell(address("new"));
    assert_eq!(pull(&mut b, &mut new, ROOM), [News { node: node(1), process: true, addresses: true }]);
    assert_eq!(b.of(&node(1)), Some(new.own()), "no fact of the earlier one is left");
    assert_eq!(b.merge(stale), [], "old gossip changes nothing");
    assert_eq!(old.lacking(&b.digest(), ROOM), [], "the earlier one has nothing for who knows of the later");
}

#[test]
fn a_node_on_a_copy_of_its_disk_counts_on_from_what_others_know_of_it() {
    let (mut b, mut late) = (table(2, [1]), Table::new(node(1), 7));
    late.tell(address("late"));
    pull(&mut b, &mut late, ROOM);
    late.overtake(&b.digest());
    assert_eq!(late.own().process, 7, "they know what it told, and no more");
    for process in [3, 7] {
        let mut copy = Table::new(node(1), process);
        copy.set_members(&[node(2)].into());
        copy.overtake(&b.digest());
        assert_eq!(copy.own().process, 8, "started as {process}");
        copy.tell(address("copy"));
        let mut reader = b.clone();
        pull(&mut reader, &mut copy, ROOM);
        assert_eq!(reader.of(&node(1)), Some(copy.own()));
    }
}

#[test]
fn a_greeting_brings_addresses_before_the_gossip_does() {
    let (mut a, mut b) = (table(1, [2]), table(2, [1]));
    a.tell(commits(1));
    a.tell(address("new"));
    let (version, addresses) = a.own().addresses().unwrap();
    let addresses = Arc::clone(addresses);
    let news = News { node: node(1), process: true, addresses: true };
    assert_eq!(b.greeted(node(1), 1, version, &addresses), Some(news));
    assert_eq!(b.greeted(node(1), 1, version, &addresses), None, "said before");
    let known = b.of(&node(1)).unwrap();
    assert_eq!((known.version, known.addresses()), (0, Some((version, &addresses))));
    // What is told ahead is not taken for all that stands before it, here or by others.
    let mut c = table(3, [1]);
    assert_eq!(pull(&mut c, &mut b, ROOM).len(), 0);
    pull(&mut b, &mut a, ROOM);
    assert_eq!(b.of(&node(1)), Some(a.own()));
    assert_eq!(b.greeted(node(1), 0, 0, &addresses), None, "it says nothing of itself");
    assert_eq!(b.greeted(node(9), 1, 1, &addresses), None, "no member");
}

#[test]
fn lesson_8_a_member_that_was_removed_does_not_come_back_by_old_gossip() {
    let (mut gone, mut a, mut b) = (table(3, [1, 2]), table(1, [2, 3]), table(2, [1, 3]));
    gone.tell(address("old"));
    pull(&mut a, &mut gone, ROOM);
    pull(&mut b, &mut gone, ROOM);
    let stale = b.lacking(&[], ROOM);
    assert!(stale.iter().any(|update| update.node == node(3)));

    a.set_members(&[node(2)].into());
    assert_eq!(a.of(&node(3)), None, "forgotten");
    assert_eq!(a.merge(stale), [], "what others still tell of it is not taken");
    assert_eq!(a.greeted(node(3), 9, 1, &vec!["old".to_owned()].into()), None, "nor what it says itself");
    assert!(a.digest().iter().all(|seen| seen.node != node(3)), "nor asked for");
    assert!(a.lacking(&[], ROOM).iter().all(|update| update.node != node(3)), "nor told to others");

    // One who was away and still counts it brings nothing back.
    pull(&mut a, &mut b, ROOM);
    assert_eq!(a.of(&node(3)), None);
}
