//! What the members hold of each partition, as they say themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use dynamo_client::{Admin, AdminError, Token};
use dynamo_ring::{NodeId, Partition, Record};
use futures::future::try_join_all;

/// A member's answer about all its partitions takes a few hundred KiB at the most.
const PATIENCE: Duration = Duration::from_secs(10);

/// One member's copy of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Merkle root.
    pub root: Bytes,
    /// Keys.
    pub keys: u64,
    /// Stored bytes.
    pub bytes: u64,
}

/// Every member's copies.
pub type Copies = BTreeMap<NodeId, BTreeMap<Partition, Copy>>;

/// Asks every member of the stable layout.
pub async fn ask(record: &Record, token: &Token) -> Result<Copies, AdminError> {
    let ask = record.stable().members().iter().map(async |member| {
        let holdings = Admin::new(&member.address, token, PATIENCE)?.holdings(&[]).await?;
        let copies = holdings.into_iter().filter_map(|h| {
            let partition = Partition(u16::try_from(h.partition).ok()?);
            Some((partition, Copy { root: h.root, keys: h.keys, bytes: h.bytes }))
        });
        Ok::<_, AdminError>((member.node_id, copies.collect()))
    });
    Ok(try_join_all(ask).await?.into_iter().collect())
}

/// The partitions of which not all holders have the same root. One that a holder does not name at all is among them.
pub fn unequal(record: &Record, copies: &Copies) -> Vec<Partition> {
    let layout = record.stable();
    let root = |node: NodeId, p: Partition| Some(&copies.get(&node)?.get(&p)?.root);
    let differs = |&p: &Partition| {
        let mut roots = layout.holders(p).map(|member| root(member.node_id, p));
        let first = roots.next().flatten();
        first.is_none() || roots.any(|other| other != first)
    };
    layout.partitions().iter().filter(differs).collect()
}

/// Stored bytes of each partition, at the holder that has most of it.
pub fn bytes(copies: &Copies) -> BTreeMap<u16, u64> {
    let mut most = BTreeMap::new();
    for (partition, copy) in copies.values().flatten() {
        let bytes: &mut u64 = most.entry(partition.0).or_default();
        *bytes = copy.bytes.max(*bytes);
    }
    most
}

#[cfg(test)]
mod tests {
    use dynamo_ring::{ClusterId, Member, Partitions, Quorum, plan};

    use super::*;

    fn record() -> Record {
        let member = |i: u8| Member {
            name: format!("cart-{i}"),
            node_id: NodeId([i; 16]),
            zone: String::new(),
            address: String::new(),
            weight: 1,
        };
        let members: Vec<_> = (0..4).map(member).collect();
        let layout = plan::first(&members, Partitions::new(8).unwrap(), 3, ClusterId([1; 16])).unwrap();
        Record::first(layout, Quorum { n: 3, r: 2, w: 2 }).unwrap()
    }

    fn equal(record: &Record) -> Copies {
        let layout = record.stable();
        let copy =
            |p: Partition| Copy { root: p.0.to_be_bytes().to_vec().into(), keys: 1, bytes: u64::from(p.0) };
        let of = |node: NodeId| layout.partitions_of(&node).map(|p| (p, copy(p))).collect();
        layout.members().iter().map(|m| (m.node_id, of(m.node_id))).collect()
    }

    #[test]
    fn a_root_that_differs_or_is_not_there_is_found() {
        let record = record();
        let mut copies = equal(&record);
        assert_eq!(unequal(&record, &copies), []);
        let p = Partition(3);
        let holder = record.stable().holders(p).last().unwrap().node_id;
        copies.get_mut(&holder).unwrap().get_mut(&p).unwrap().root = Bytes::from_static(b"other");
        assert_eq!(unequal(&record, &copies), [p]);
        copies.get_mut(&holder).unwrap().remove(&p);
        assert_eq!(unequal(&record, &copies), [p]);
        copies.clear();
        assert_eq!(unequal(&record, &copies).len(), 8, "no answer is no equality");
    }

    #[test]
    fn bytes_are_those_of_the_fullest_copy() {
        let record = record();
        let mut copies = equal(&record);
        let holder = record.stable().owner(Partition(2)).unwrap().node_id;
        copies.get_mut(&holder).unwrap().get_mut(&Partition(2)).unwrap().bytes = 99;
        let bytes = bytes(&copies);
        assert_eq!((bytes.len(), bytes[&2], bytes[&5]), (8, 99, 5));
    }
}
