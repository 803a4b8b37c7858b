//! What other members' movers of data ask of this one: a partition's entries as a stream, its tree's root and nodes,
//! states by position. The fence and the membership have been looked at before, but for [`pull`], which does so itself.
//!
//! All but [`pull`] block for a disk's time: call them on a thread that may.

use std::sync::Arc;

use bytes::Bytes;
use dynamo_proto::v1::{
    Entry, FetchManyReply, FetchManyRequest, MerkleChildrenReply, MerkleChildrenRequest, MerkleNodes,
    MerkleRootsReply, MerkleRootsRequest, PullBatch, PullRequest, Refusal, refusal::Reason,
};
use dynamo_ring::fence::Verdict;
use dynamo_ring::{Partition, Position};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use prost::Message;
use tonic::Status;

use super::exchange::{KeyAndState, MESSAGE_BYTES, POSITIONS};
use crate::layout::Layouts;
use crate::merkle::{MerkleHash, Node, Prefix};
use crate::peer::parts::{Cut, WHOLE};
use crate::peer::wire::{self, Sender};
use crate::store::{DataKey, Examine, Local, Store, StoreError, blocking};

/// Entry bytes of one batch of a pull, but for one entry that is larger.
pub const BATCH_BYTES: usize = 256 << 10;
/// Prefixes that one request may ask for.
const MAX_PREFIXES: usize = 1024;

/// The entries of a partition in key order, as they lie in a snapshot taken now. `me` says who speaks, at each batch.
///
/// The snapshot is kept for as long as the stream is read, so the reader's timeouts bound it. No guard is held: what is
/// read is not changed, and the reader compares afterwards.
pub fn pull(
    store: &Arc<dyn Store>,
    layouts: &Layouts,
    request: &PullRequest,
    me: impl Fn() -> Sender + Send + 'static,
) -> Result<BoxStream<'static, Result<PullBatch, Status>>, Status> {
    let (partition, after) = admit(layouts, request)?;
    let snapshot = Local::over(store.snapshot());
    let reading = Reading { local: snapshot, partition, after, first: true };
    let batches = stream::unfold((Some(reading), me), |(reading, me)| async move {
        let mut reading = reading?;
        let read = blocking(move || {
            let batch = reading.next()?;
            Ok::<_, StoreError>((reading, batch))
        });
        // The last batch, and a failure, end it.
        Some(match read.await {
            Ok((reading, batch)) => {
                let rest = (!batch.done).then_some(reading);
                (Ok(PullBatch { sender: Some(me().message()), ..batch }), (rest, me))
            }
            Err(why) => (Err(Status::unavailable(why.to_string())), (None, me)),
        })
    });
    Ok(batches.flat_map(in_parts).boxed())
}

/// A batch as it is sent: one with a large entry goes in parts.
fn in_parts(batch: Result<PullBatch, Status>) -> BoxStream<'static, Result<PullBatch, Status>> {
    match batch {
        Ok(batch) if batch.encoded_len() > WHOLE => {
            let cut = Cut::new(batch.encode_to_vec().into());
            let parts = stream::unfold(Some(cut), |cut| async move {
                let mut cut = cut?;
                let part = cut.next_part();
                let rest = (!part.last).then_some(cut);
                Some((Ok(PullBatch { part: Some(part), ..PullBatch::default() }), rest))
            });
            parts.boxed()
        }
        batch => stream::iter([batch]).boxed(),
    }
}

/// Who may pull what, and from where on.
fn admit(layouts: &Layouts, request: &PullRequest) -> Result<(Partition, Option<DataKey>), Status> {
    let sense = |why: wire::WireError| Status::invalid_argument(why.to_string());
    let sender = Sender::from_message(request.sender.as_ref()).map_err(sense)?;
    let stamp = wire::stamp(request.stamp.as_ref()).map_err(sense)?;
    let Some(standing) = layouts.current().filter(|standing| !standing.retired) else {
        return Err(Status::failed_precondition("this node has no layout yet, or has retired"));
    };
    let ours = sender.cluster_id.is_none_or(|cluster| cluster == standing.record.cluster_id());
    if !ours || !standing.admits(&sender.mark.node_id) {
        return Err(Status::permission_denied("only members of this cluster are answered"));
    }
    match layouts.judge(stamp) {
        Verdict::Accept => {}
        Verdict::SenderIsOld => {
            return Err(Status::failed_precondition("asked under a layout that has passed"));
        }
        Verdict::IAmOld => return Err(Status::unavailable("this node has not yet heard of that layout")),
        Verdict::Conflict => {
            return Err(Status::failed_precondition("asked under a layout that is not this one's"));
        }
    }
    let partition = u16::try_from(request.partition).map(Partition);
    let Some(partition) = partition.ok().filter(|partition| standing.holds(*partition)) else {
        return Err(Status::failed_precondition(format!("partition {} is not held here", request.partition)));
    };
    let after = (!request.after.is_empty()).then(|| DataKey::from_peer(request.after.clone())).transpose();
    let after = after.map_err(|why| Status::invalid_argument(format!("`after`: {why}")))?;
    Ok((partition, after))
}

/// A snapshot on its way to the one who asked.
struct Reading {
    local: Local,
    partition: Partition,
    after: Option<DataKey>,
    first: bool,
}

impl Reading {
    fn next(&mut self) -> Result<PullBatch, StoreError> {
        let scan = self.local.scan(self.partition, self.after.as_ref(), BATCH_BYTES)?;
        let mut batch =
            PullBatch { done: !scan.more, crc32: checksum(&scan.entries), ..PullBatch::default() };
        if std::mem::take(&mut self.first) {
            let summary = self.local.summary(self.partition)?;
            (batch.snapshot_bytes, batch.snapshot_keys) = (summary.bytes, summary.keys);
        }
        if let Some((last, _)) = scan.entries.last() {
            self.after = Some(last.clone());
        }
        batch.entries = scan.entries.into_iter().map(entry).collect();
        Ok(batch)
    }
}

/// The CRC-32 over keys and states in order, each preceded by its length (u32, big endian).
pub fn checksum(entries: &[KeyAndState]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for (key, state) in entries {
        for part in [key.as_bytes(), state] {
            hasher.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            hasher.update(part);
        }
    }
    hasher.finalize()
}

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

/// The states of the keys at these positions, in the order asked, until the message is full.
pub fn fetch_many(local: &Local, request: &FetchManyRequest) -> Result<FetchManyReply, Refusal> {
    held(local, request.partition)?;
    if request.positions.len() > POSITIONS {
        return Err(invalid("too many positions in one request"));
    }
    let (mut reply, mut bytes) = (FetchManyReply::default(), 0);
    for position in &request.positions {
        let position = position[..].try_into().map_err(|_| invalid("not a position"))?;
        let Some(found) = local.at(Position(position)).map_err(|why| storage(&why))? else { continue };
        let more = found.0.as_bytes().len() + found.1.len();
        if !reply.entries.is_empty() && bytes + more > MESSAGE_BYTES {
            reply.more = true;
            break;
        }
        bytes += more;
        reply.entries.push(entry(found));
    }
    Ok(reply)
}

fn entry((key, state): KeyAndState) -> Entry {
    Entry { data_key: key.as_bytes().clone(), state }
}

fn number(partition: u32) -> Result<Partition, Refusal> {
    u16::try_from(partition).map(Partition).map_err(|_| invalid("no such partition"))
}

fn held(local: &Local, partition: u32) -> Result<Partition, Refusal> {
    let partition = number(partition)?;
    match local.summary(partition) {
        Ok(summary) if summary.held => Ok(partition),
        Ok(_) => Err(refusal(Reason::NotHolder, format!("partition {partition} is not held here"))),
        Err(why) => Err(storage(&why)),
    }
}

fn invalid(why: &str) -> Refusal {
    refusal(Reason::Invalid, why.to_owned())
}

fn storage(why: &StoreError) -> Refusal {
    refusal(Reason::Storage, why.to_string())
}

fn refusal(reason: Reason, message: String) -> Refusal {
    Refusal { reason: reason.into(), message, record: Bytes::new() }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use dynamo_proto::v1::MerklePrefixes;
    use dynamo_ring::Partitions;

    use super::*;
    use crate::entropy::Entropy;
    use crate::peer::parts::{Assembler, Came, PART};
    use crate::peer::room::Room;
    use crate::store::{
        Batch, Identity, LayoutChange, Limit, Limits, MemoryStore, Operation, Put, Read, Space, WriteBatch,
    };
    use crate::version::VersionVector;

    /// A store that holds partitions 0 to 3 of 8, with these keys.
    fn local(keys: &[(&str, usize)]) -> Local {
        store(keys).1
    }

    fn store(keys: &[(&str, usize)]) -> (MemoryStore, Local) {
        let store = MemoryStore::new();
        Identity::establish(&store, Identity::drawn(&Entropy::from_os())).unwrap();
        let partitions = Partitions::new(8).unwrap();
        let held = (0..4).map(Partition).collect();
        run(&store, &LayoutChange { record: "{}".into(), partitions, held, puts: Vec::new() });
        for (key, size) in keys {
            let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Some(vec![7; *size].into()));
            let context = VersionVector::new();
            run(
                &store,
                &Put { key, context, value, write_id: None, now_ms: 1, expires_at_ms: None, hint: None },
            );
        }
        (store.clone(), Local::new(Arc::new(store)))
    }

    fn run<O: Operation>(store: &MemoryStore, operation: &O) {
        let mut batch = Batch::new(store, Limits::default()).unwrap();
        batch.apply(operation).unwrap();
        store.write(batch.finish().unwrap()).unwrap();
    }

    /// Keys of partition 0, in the order of their positions.
    fn keys(count: usize) -> Vec<(Position, String)> {
        let q = Partitions::new(8).unwrap();
        let all = (0..1000).map(|n| format!("key-{n}")).map(|key| (Position::of(key.as_bytes()), key));
        let mut keys: Vec<_> = all.filter(|(position, _)| position.partition(q).0 == 0).take(count).collect();
        keys.sort();
        keys
    }

    #[test]
    fn a_full_message_says_that_there_is_more() {
        let keys = keys(3);
        let large: Vec<_> = keys.iter().map(|(_, key)| (key.as_str(), MESSAGE_BYTES / 2)).collect();
        let local = local(&large);
        let position = |position: &Position| Bytes::copy_from_slice(position.as_bytes());
        let mut positions: Vec<_> = keys.iter().map(|(at, _)| position(at)).collect();
        positions.insert(0, position(&Position([0; 16])));
        let reply =
            fetch_many(&local, &FetchManyRequest { partition: 0, positions: positions.clone() }).unwrap();
        assert_eq!((reply.entries.len(), reply.more), (1, true), "the one that nobody has is left out");
        let reply = fetch_many(&local, &FetchManyRequest { partition: 0, positions: positions.split_off(3) });
        let reply = reply.unwrap();
        assert_eq!((reply.entries.len(), reply.more), (1, false));
    }

    #[test]
    fn what_is_not_held_or_makes_no_sense_is_refused() {
        let local = local(&[]);
        let reason = |refusal: Refusal| refusal.reason();
        let fetch = |partition, positions| fetch_many(&local, &FetchManyRequest { partition, positions });
        assert_eq!(fetch(4, vec![]).map_err(reason), Err(Reason::NotHolder));
        assert_eq!(fetch(70_000, vec![]).map_err(reason), Err(Reason::Invalid));
        assert_eq!(fetch(0, vec![Bytes::from_static(b"short")]).map_err(reason), Err(Reason::Invalid));
        assert_eq!(fetch(0, vec![Bytes::new(); POSITIONS + 1]).map_err(reason), Err(Reason::Invalid));
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

    #[test]
    fn a_snapshot_comes_whole_in_order_and_may_begin_anywhere() {
        let keys = keys(10);
        let local = local(&keys.iter().map(|(_, key)| (key.as_str(), BATCH_BYTES / 3)).collect::<Vec<_>>());
        let read = |after: Option<DataKey>| {
            let mut reading = Reading { local: local.clone(), partition: Partition(0), after, first: true };
            let mut batches = vec![reading.next().unwrap()];
            while !batches.last().unwrap().done {
                batches.push(reading.next().unwrap());
            }
            batches
        };
        let batches = read(None);
        assert!(batches.len() > 2);
        let summary = local.summary(Partition(0)).unwrap();
        assert_eq!((batches[0].snapshot_keys, batches[0].snapshot_bytes), (10, summary.bytes));
        let mut came = Vec::new();
        for batch in &batches {
            let entries: Vec<KeyAndState> = batch
                .entries
                .iter()
                .map(|entry| (DataKey::from_peer(entry.data_key.clone()).unwrap(), entry.state.clone()))
                .collect();
            assert_eq!(checksum(&entries), batch.crc32);
            came.extend(entries.into_iter().map(|(key, _)| key));
        }
        let expected: Vec<_> = keys.iter().map(|(_, key)| DataKey::of(key.as_bytes()).unwrap()).collect();
        assert_eq!(came, expected);
        let rest: usize = read(Some(expected[6].clone())).iter().map(|batch| batch.entries.len()).sum();
        assert_eq!(rest, 3);
    }

    #[tokio::test]
    async fn a_batch_with_a_large_entry_goes_in_parts() {
        let keys = keys(2);
        let local = local(&[(keys[0].1.as_str(), 3 << 20), (keys[1].1.as_str(), 10)]);
        let mut reading = Reading { local, partition: Partition(0), after: None, first: true };
        let (large, small) = (reading.next().unwrap(), reading.next().unwrap());
        let whole: Vec<_> = in_parts(Ok(small.clone())).collect().await;
        assert_eq!(whole.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [small]);
        let (mut coming, room) = (Assembler::default(), Room::new(1 << 20));
        let mut came = Vec::new();
        let parts: Vec<_> = in_parts(Ok(large.clone())).collect().await;
        assert!(parts.len() > 6);
        for batch in parts {
            let batch = batch.unwrap();
            assert!(batch.encoded_len() <= PART + 64 && batch.entries.is_empty());
            if let Came::Whole(bytes, _) = coming.part(0, &batch.part.unwrap(), |n| room.take(n)).unwrap() {
                came.push(PullBatch::decode(bytes).unwrap());
            }
        }
        assert_eq!(came, [large]);
    }

    #[test]
    fn a_byte_that_moves_from_key_to_state_changes_the_checksum() {
        let entry = |key: &'static [u8], state: &'static [u8]| {
            vec![(DataKey::of(key).unwrap(), Bytes::from_static(state))]
        };
        assert_ne!(checksum(&entry(b"ab", b"c")), checksum(&entry(b"a", b"bc")));
        assert_ne!(checksum(&entry(b"a", b"b")), checksum(&entry(b"a", b"c")));
    }
}
