//! Whom to ask for a key, in which order.
//!
//! First the members of the key's preference list, since each of them can coordinate the request without forwarding
//! it; then the seeds. Suspects come last within the whole list: a stand-in that answers beats an owner that does not.

use dynamo_ring::{Partition, Partitions, Position, Record};

/// What the request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Goes to the members of the layout that serves reads.
    Read,
    /// Goes where reads go, is not asked twice, and takes as long as its pieces come.
    ReadInPieces,
    /// Goes where reads go, and is not asked twice.
    List,
    /// Goes to the members of S, which is complete at every step of a change.
    Write,
}

/// What the request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// A key.
    Key(&'a [u8]),
    /// A partition.
    Partition(Partition),
}

impl Place<'_> {
    /// Where it lies on a ring of so many partitions. A partition that there is not may be asked of anyone.
    fn partition(self, q: Partitions) -> Partition {
        match self {
            Self::Key(key) => Position::of(key).partition(q),
            Self::Partition(partition) if q.contains(partition) => partition,
            Self::Partition(_) => Partition(0),
        }
    }
}

/// What the client knows when it chooses.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The layout record; none before the first was learnt, or if members are not to be called straight.
    pub record: Option<&'a Record>,
    /// The addresses that the client was given.
    pub seeds: &'a [String],
}

/// The addresses to try, in order, each once. Never empty if there is a seed.
pub fn candidates<'a>(
    known: Known<'a>,
    intent: Intent,
    place: Place<'_>,
    suspected: impl Fn(&str) -> bool,
) -> Vec<&'a str> {
    let mut list: Vec<&str> = Vec::new();
    if let Some(record) = known.record {
        let layout = match intent {
            Intent::Read | Intent::ReadInPieces | Intent::List => record.view().read_layout(),
            Intent::Write => record.stable(),
        };
        let partition = place.partition(layout.partitions());
        list.extend(layout.preference_list(partition).iter().map(|member| member.address.as_str()));
    }
    for seed in known.seeds {
        if !list.contains(&seed.as_str()) {
            list.push(seed);
        }
    }
    // Stable: within the well and within the suspects the order stays.
    list.sort_by_key(|address| suspected(address));
    list
}

#[cfg(test)]
mod tests {
    use dynamo_ring::{ClusterId, Member, NodeId, Partitions, Quorum, plan};

    use super::*;

    fn member(i: u8) -> Member {
        Member {
            name: format!("cart-{i}"),
            node_id: NodeId([i; 16]),
            zone: String::new(),
            address: format!("cart-{i}:7070"),
            weight: 1,
        }
    }

    fn record(count: u8) -> Record {
        let members: Vec<_> = (0..count).map(member).collect();
        let layout = plan::first(&members, Partitions::new(16).unwrap(), 3, ClusterId([7; 16])).unwrap();
        Record::first(layout, Quorum { n: 3, r: 2, w: 2 }).unwrap()
    }

    fn holders(layout: &dynamo_ring::Layout, key: &[u8]) -> Vec<String> {
        let partition = Position::of(key).partition(layout.partitions());
        layout.holders(partition).map(|m| m.address.clone()).collect()
    }

    #[test]
    fn the_keys_own_members_come_first_then_stand_ins_then_seeds() {
        let record = record(5);
        let seeds = ["cart-1:7070".to_owned(), "cart:7070".to_owned()];
        let known = Known { record: Some(&record), seeds: &seeds };
        for key in [b"a".as_slice(), b"b", b"anna", b"bert"] {
            let list = candidates(known, Intent::Write, Place::Key(key), |_| false);
            assert_eq!(list[..3], holders(record.stable(), key)[..]);
            assert_eq!(list.len(), 6, "five members and one seed that is none: each once");
            assert_eq!(list[5], "cart:7070");
        }
    }

    #[test]
    fn suspects_come_last_and_are_not_forgotten() {
        let record = record(3);
        let seeds = ["cart:7070".to_owned()];
        let known = Known { record: Some(&record), seeds: &seeds };
        let all = candidates(known, Intent::Read, Place::Key(b"anna"), |_| false);
        let list = candidates(known, Intent::Read, Place::Key(b"anna"), |address| address == all[0]);
        assert_eq!(list, [all[1], all[2], all[3], all[0]]);
        assert_eq!(
            candidates(known, Intent::Read, Place::Key(b"anna"), |_| true),
            all,
            "where all are suspect none is"
        );
    }

    #[test]
    fn reads_follow_the_switch_and_writes_the_commit() {
        let members: Vec<_> = (0..5).map(member).collect();
        let proposed = record(3).propose(&members).unwrap();
        let switched = proposed.freeze().unwrap().switch().unwrap();
        let target = proposed.target().unwrap().layout.clone();
        // A key whose members change, or the test would show nothing.
        let key = (0u32..1000)
            .map(u32::to_be_bytes)
            .find(|key| holders(proposed.stable(), key) != holders(&target, key))
            .unwrap();
        let first = |record: &Record, intent| {
            let known = Known { record: Some(record), seeds: &[] };
            candidates(known, intent, Place::Key(&key), |_| false)[..3]
                .iter()
                .map(|&a| a.to_owned())
                .collect::<Vec<_>>()
        };
        let (old, new) = (holders(proposed.stable(), &key), holders(&target, &key));
        assert_eq!(first(&proposed, Intent::Read), old);
        assert_eq!(first(&switched, Intent::Read), new);
        assert_eq!(first(&switched, Intent::Write), old);
        assert_eq!(first(&switched.commit().unwrap(), Intent::Write), new);
    }

    #[test]
    fn without_a_layout_the_seeds_serve() {
        let seeds = ["a:1".to_owned(), "b:1".to_owned()];
        let known = Known { record: None, seeds: &seeds };
        assert_eq!(
            candidates(known, Intent::Read, Place::Key(b"k"), |address| address == "a:1"),
            ["b:1", "a:1"]
        );
    }
}
