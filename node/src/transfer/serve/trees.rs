//! Roots and nodes of Merkle trees, as those who compare ask for them.

use bytes::Bytes;
use dynamo_proto::v1::{
    MerkleChildrenReply, MerkleChildrenRequest, MerkleNodes, MerkleRootsReply, MerkleRootsRequest, Refusal,
    refusal::Reason,
};
use dynamo_ring::Partition;

use super::{invalid, number, refusal, storage};
use crate::merkle::{MerkleHash, Node, Prefix};
use crate::store::{Examine, Local, StoreError};

/// Prefixes that one request may ask for.
const MAX_PREFIXES: usize = 1024;

/// The roots of the partitions that are named, empty for one that is not held here; or, if the asker brings the hash over
/// all that it shares with this member, whether it is the same here, and which roots there are if not. `shared` are these
/// partitions; none if the asker goes by another layout or step, and so may mean others.
pub fn merkle_roots(
    local: &Local,
    request: &MerkleRootsRequest,
    shared: &[Partition],
) -> Result<MerkleRootsReply, Refusal> {
    if request.partitions.len() > dynamo_ring::Partitions::MAX.into() {
        return Err(invalid("more partitions than there are"));
    }
    let roots = |partitions: &[Partition]| local.roots(partitions).map_err(|why| storage(&why));
    let encode = |root: Option<MerkleHash>| root.map_or(Bytes::new(), |root| Bytes::copy_from_slice(&root.0));
    if request.shared.is_empty() || !request.partitions.is_empty() {
        // A number that is too large names no partition that is held.
        let named = request.partitions.iter().map(|p| Partition(u16::try_from(*p).unwrap_or(u16::MAX)));
        let roots = roots(&named.collect::<Vec<_>>())?.into_iter().map(encode).collect();
        return Ok(MerkleRootsReply { roots, ..MerkleRootsReply::default() });
    }
    let theirs = request.shared[..].try_into().map_err(|_| invalid("`shared` is not 16 bytes"))?;
    let ours = roots(shared)?;
    let all: Option<Vec<MerkleHash>> = ours.iter().copied().collect();
    if all.is_some_and(|all| !all.is_empty() && MerkleHash::of_roots(all) == MerkleHash(theirs)) {
        return Ok(MerkleRootsReply { alike: true, ..MerkleRootsReply::default() });
    }
    let partitions = ours.into_iter().map(encode).collect();
    Ok(MerkleRootsReply { partitions, ..MerkleRootsReply::default() })
}

/// What lies under these prefixes; empty where that is nothing. What looks odd in a tree on the way is handed to `doubt`.
pub fn merkle_children(
    local: &Local,
    request: &MerkleChildrenRequest,
    doubt: &mut dyn FnMut(Examine),
) -> Result<MerkleChildrenReply, Refusal> {
    let all = request.prefixes.len() + request.more.iter().map(|more| more.prefixes.len()).sum::<usize>();
    if all > MAX_PREFIXES || request.more.len() > MAX_PREFIXES {
        return Err(invalid("too many prefixes in one request"));
    }
    let mut nodes = |partition, prefixes: &[Bytes]| {
        let partition = number(partition)?;
        let prefixes = prefixes.iter().map(|bytes| Prefix::decode(bytes));
        let prefixes: Vec<_> = prefixes.collect::<Result<_, _>>().map_err(|_| invalid("not a prefix"))?;
        let found = match local.merkle(partition, &prefixes) {
            Ok(found) => found,
            Err(StoreError::Tree(_)) => {
                doubt(Examine { partition, prefixes, positions: Vec::new() });
                None
            }
            Err(why) => return Err(storage(&why)),
        };
        let encode = |node: Node| if node.is_empty() { Bytes::new() } else { node.encode().into() };
        Ok(found.map(|nodes| nodes.into_iter().map(encode).collect::<Vec<Bytes>>()))
    };
    let Some(first) = nodes(request.partition, &request.prefixes)? else {
        let why = format!("partition {} is not held here, or its tree is being made anew", request.partition);
        return Err(refusal(Reason::NotHolder, why));
    };
    let mut reply = MerkleChildrenReply { nodes: first, more: Vec::new() };
    for more in &request.more {
        let nodes = nodes(more.partition, &more.prefixes)?.unwrap_or_default();
        reply.more.push(MerkleNodes { nodes });
    }
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use dynamo_proto::v1::MerklePrefixes;
    use dynamo_ring::Partitions;

    use super::super::fixture::{keys, local, run, store};
    use super::*;
    use crate::store::{Limit, Read, Space, Store, WriteBatch};

    #[test]
    fn what_is_not_held_or_makes_no_sense_is_refused() {
        let local = local(&[]);
        let reason = |refusal: Refusal| refusal.reason();
        let children = |prefixes: Vec<Bytes>| {
            let more = vec![MerklePrefixes { partition: 1, prefixes: prefixes.clone() }];
            merkle_children(&local, &MerkleChildrenRequest { partition: 0, prefixes, more }, &mut |_| {})
        };
        assert_eq!(children(vec![Bytes::from_static(&[99])]).map_err(reason), Err(Reason::Invalid));
        assert_eq!(children(vec![Bytes::new(); MAX_PREFIXES / 2 + 1]).map_err(reason), Err(Reason::Invalid));
        let request = MerkleRootsRequest { partitions: vec![0, 4, 70_000], ..MerkleRootsRequest::default() };
        let roots = merkle_roots(&local, &request, &[]).unwrap().roots;
        assert_eq!(roots, [Bytes::from_static(&[0; 16]), Bytes::new(), Bytes::new()]);
        let request = MerkleRootsRequest { shared: Bytes::from_static(b"short"), ..request };
        assert_eq!(merkle_roots(&local, &request, &[]).unwrap().roots.len(), 3, "by number, if any is named");
        let request = MerkleRootsRequest { partitions: Vec::new(), ..request };
        assert_eq!(merkle_roots(&local, &request, &[]).map_err(reason), Err(Reason::Invalid));
    }

    #[test]
    fn all_that_is_shared_is_alike_or_told_in_one_answer() {
        let local = local(&[(&keys(1)[0].1, 3)]);
        let partitions = [0, 1, 2].map(Partition);
        let ours = local.roots(&partitions).unwrap();
        assert!(ours[0] != ours[1] && ours[1] == Some(MerkleHash::EMPTY));
        let ask = |hash: MerkleHash, shared: &[Partition]| {
            let shared_hash = Bytes::copy_from_slice(&hash.0);
            let request = MerkleRootsRequest { shared: shared_hash, ..MerkleRootsRequest::default() };
            merkle_roots(&local, &request, shared).unwrap()
        };
        let hash = MerkleHash::of_roots(ours.iter().flatten().copied());
        let alike = MerkleRootsReply { alike: true, ..MerkleRootsReply::default() };
        assert_eq!(ask(hash, &partitions), alike);

        let all: Vec<Bytes> = ours.iter().flatten().map(|root| Bytes::copy_from_slice(&root.0)).collect();
        let told = MerkleRootsReply { partitions: all, ..MerkleRootsReply::default() };
        assert_eq!(ask(MerkleHash([9; 16]), &partitions), told);

        // One that is not held here is never alike, whatever the hash.
        let reply = ask(hash, &[0, 1, 2, 4].map(Partition));
        assert_eq!((reply.alike, reply.partitions.len(), reply.partitions[3].len()), (false, 4, 0));
        assert_eq!(ask(hash, &[]), MerkleRootsReply::default(), "under another step nothing is said");
        assert_eq!(ask(MerkleHash::of_roots([]), &[]), MerkleRootsReply::default());
    }

    #[test]
    fn nodes_of_many_partitions_come_in_one_answer() {
        let local = local(&[(&keys(1)[0].1, 3)]);
        let q = Partitions::new(8).unwrap();
        let root = |p| vec![Bytes::from(Prefix::root(Partition(p), q).encode())];
        let more = [0, 4, 1].map(|p| MerklePrefixes { partition: p.into(), prefixes: root(p) }).to_vec();
        let request = MerkleChildrenRequest { partition: 0, prefixes: root(0), more };
        let reply = merkle_children(&local, &request, &mut |_| {}).unwrap();
        assert_eq!(reply.nodes, reply.more[0].nodes);
        assert!(!reply.nodes[0].is_empty());
        assert_eq!(reply.more[1].nodes, Vec::<Bytes>::new(), "not held");
        assert_eq!(reply.more[2].nodes, [Bytes::new()], "held, and empty");
    }

    #[test]
    fn a_tree_that_looks_broken_is_handed_on_to_be_examined() {
        let keys = keys(40);
        let (store, local) = store(&keys.iter().map(|(_, key)| (key.as_str(), 1)).collect::<Vec<_>>());
        let root = Prefix::root(Partition(0), Partitions::new(8).unwrap());
        let gone = store.range(Space::Merkle, Bound::Unbounded, Bound::Unbounded, Limit::rows(1)).unwrap();
        let rows = vec![(Space::Merkle, gone[0].0.clone(), None)];
        store.write(WriteBatch { rows, reserve: false }).unwrap();
        let prefixes = vec![Bytes::from(root.encode())];
        let request = MerkleChildrenRequest { partition: 0, prefixes, more: Vec::new() };
        let mut doubts = Vec::new();
        let reply = merkle_children(&local, &request, &mut |examine| doubts.push(examine));
        assert_eq!(reply.map_err(|why| why.reason()), Err(Reason::NotHolder), "it has no tree to show");
        assert_eq!(doubts.iter().map(|doubt| doubt.prefixes.clone()).collect::<Vec<_>>(), [[root]]);
        run(&store, &doubts[0]);
        assert_eq!(local.doubted().unwrap(), [Partition(0)]);
    }
}
