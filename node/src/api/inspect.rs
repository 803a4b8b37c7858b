//! What this node has of one key by itself: for a person who wants to know why a read answers what it does.

use bytes::Bytes;
use dynamo_proto::v1::{InspectReply, VersionInfo, WriterCount};
use dynamo_ring::{Partition, Partitions};

use crate::layout::Standing;
use crate::merkle::{DIGITS, Prefix};
use crate::peer::wire::node_id_bytes;
use crate::store::{DataKey, Local, OpError, StoreError};
use crate::version::{Dot, Sibling, State, StateHash, Writer};

/// Bytes of each value that are shown if nobody says how many, and of all values together at most.
const USUAL: u32 = 1 << 10;
const MOST: usize = 2 << 20;

/// What is stored of a key. Blocks for a disk's time.
#[derive(Debug)]
pub(super) struct Found {
    encoded: Option<Bytes>,
    state: State,
    /// What the partition's Merkle tree says of the key.
    leaf: Option<StateHash>,
    /// Who is owed the key.
    owed: Vec<dynamo_ring::NodeId>,
}

impl Found {
    pub(super) fn read(local: &Local, key: &DataKey) -> Result<Self, OpError> {
        let encoded = local.encoded(key.user_key())?;
        let state = encoded.as_ref().map(State::decode).transpose()?.unwrap_or_default();
        let leaf = match local.partitions()? {
            Some(q) => {
                let whole = Prefix::of(key.position(), DIGITS);
                match local.merkle(key.position().partition(q), &[whole]) {
                    // A broken tree is shown as one without the leaf.
                    Err(StoreError::Tree(_)) => None,
                    nodes => nodes?.and_then(|nodes| nodes.first()?.only_leaf()).map(|(_, hash)| hash),
                }
            }
            None => None,
        };
        Ok(Self { encoded, state, leaf, owed: local.hints_of(key)? })
    }

    /// As a person is told it, with so many bytes of each value; 0 is the usual number.
    pub(super) fn reply(self, key: &DataKey, standing: Option<&Standing>, value_bytes: u32) -> InspectReply {
        let wanted = if value_bytes == 0 { USUAL } else { value_bytes };
        let each = MOST / self.state.siblings().len().max(1);
        let shown = each.min(usize::try_from(wanted).unwrap_or(usize::MAX));
        let q = standing.map(|standing| standing.record.stable().partitions());
        let partition: Option<Partition> = q.map(|q: Partitions| key.position().partition(q));
        let context = self.state.context().iter();
        InspectReply {
            found: self.encoded.is_some(),
            siblings: self.state.siblings().iter().map(|sibling| version(sibling, shown)).collect(),
            context: context.map(|(writer, counter)| dot(writer, counter)).collect(),
            partition: partition.map_or(0, |p| p.0.into()),
            position: Bytes::copy_from_slice(key.position().as_bytes()),
            held: standing.zip(partition).is_some_and(|(standing, partition)| standing.holds(partition)),
            hash: hash(self.encoded.as_ref().map(|encoded| StateHash::of(key.user_key(), encoded))),
            leaf: hash(self.leaf),
            owed: self.owed.into_iter().map(node_id_bytes).collect(),
            stored_bytes: self.encoded.map_or(0, |encoded| encoded.len() as u64),
        }
    }
}

fn hash(hash: Option<StateHash>) -> Bytes {
    hash.map(|hash| Bytes::copy_from_slice(&hash.0)).unwrap_or_default()
}

fn version(sibling: &Sibling, shown: usize) -> VersionInfo {
    let Dot { writer, counter } = sibling.dot;
    let value = sibling.value.clone().unwrap_or_default();
    VersionInfo {
        dot: Some(dot(writer, counter)),
        tombstone: sibling.value.is_none(),
        value: value.slice(..value.len().min(shown)),
        value_bytes: value.len() as u64,
        written_at_ms: sibling.written_at_ms,
        expires_at_ms: sibling.expires_at_ms,
    }
}

const fn dot(writer: Writer, counter: u64) -> WriterCount {
    WriterCount { actor: writer.actor.0, birth: writer.birth.0, counter }
}
