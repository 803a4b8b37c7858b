//! What the movers of data do with one peer: roots, nodes, states there and here. Each call is one bounded message.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::{
    Entry, FetchManyReply, FetchManyRequest, LayoutReply, LayoutRequest, MerkleChildrenReply,
    MerkleChildrenRequest, MerklePrefixes, MerkleRootsReply, MerkleRootsRequest, StoreManyReply,
    StoreManyRequest, refusal::Reason,
};
use dynamo_ring::fence::SenderStamp;
use dynamo_ring::{LayoutId, NodeId, Partition, Partitions, Position};

use super::purge::submit;
use crate::layout::{Entered, Layouts};
use crate::merkle::{MerkleHash, Node, Prefix};
use crate::peer::wire::{self, node_id_bytes};
use crate::peer::{Answer, Network, PeerError, Refused, SLOWEST, ask};
use crate::store::{Committer, DataKey, Local, MergeMany, OpError, PeerMark, StoreError};

/// How long a peer has to answer one message; a large one has more, by its size.
pub const WITHIN: Duration = Duration::from_secs(10);
/// Entry bytes after which a message is full, but for one entry that is larger.
pub const MESSAGE_BYTES: usize = 1 << 20;
/// Positions asked for in one message.
pub const POSITIONS: usize = 256;

/// A key and its encoded state.
pub type KeyAndState = (DataKey, Bytes);

/// Why an exchange ended early. What was stored by then stays; it is tried again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// The peer gave no answer.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The peer's answer makes no sense. Only a fault of one of the two programs does that.
    #[error("member {0} answered strangely: {1}")]
    Strange(NodeId, String),
    /// A batch of a pull did not have its checksum. Nothing of it was stored.
    #[error("a batch of partition {1} from member {0} was damaged on the way; it is asked for again")]
    Damaged(NodeId, Partition),
    /// Another holder is much faster.
    #[error("member {0} sends slowly; the pull goes on at another holder")]
    Slow(NodeId),
    /// The peer does not hold the partition (yet, or any more).
    #[error("member {0} does not hold partition {1} just now")]
    NotHeld(NodeId, Partition),
    /// It was begun for a layout that no longer stands.
    #[error("layout {0} no longer stands")]
    Passed(LayoutId),
    /// It could not be stored or read here.
    #[error(transparent)]
    Store(#[from] OpError),
}

impl From<StoreError> for ExchangeError {
    fn from(why: StoreError) -> Self {
        Self::Store(why.into())
    }
}

/// What a peer says of all that it shares with this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharedRoots {
    /// The same roots.
    Alike,
    /// These roots, in the order of the shared partitions; `None` for one that it does not hold.
    Roots(Vec<Option<MerkleHash>>),
    /// Nothing: it does not know the question, or goes by another layout or step. Ask it for partitions by number.
    Untold,
}

/// What a peer says of some prefixes of a partition's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// What lies under them, in the order asked.
    Nodes(Vec<Node>),
    /// It does not hold the partition (yet, or any more).
    NotHeld,
    /// Nothing: it takes one partition at a time.
    Untold,
}

/// What a mover of data works with. Cheap to clone.
#[derive(Clone)]
pub struct Exchange {
    /// The way to the other members.
    pub network: Arc<dyn Network>,
    /// Reading what is here.
    pub local: Local,
    /// Writing here.
    pub committer: Committer,
    /// What this node goes by.
    pub layouts: Layouts,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("me", &self.layouts.my_id()).finish_non_exhaustive()
    }
}

impl Exchange {
    /// Enters under the layout that the work is for. Keep the guard for one message, so that acknowledging a step never
    /// waits longer than that.
    pub fn enter(&self, id: LayoutId) -> Result<Entered, ExchangeError> {
        self.layouts.enter().filter(|entered| entered.record.id() == id).ok_or(ExchangeError::Passed(id))
    }

    /// The roots of these partitions' trees at a peer; `None` for one that it does not hold.
    pub async fn roots(
        &self,
        peer: NodeId,
        partitions: &[Partition],
        stamp: SenderStamp,
    ) -> Result<Vec<Option<MerkleHash>>, ExchangeError> {
        let named = partitions.iter().map(|p| p.0.into()).collect();
        let request = MerkleRootsRequest { partitions: named, ..MerkleRootsRequest::default() };
        let reply: MerkleRootsReply = self.ask(peer, Op::MerkleRoots(request), stamp).await?;
        if reply.roots.len() != partitions.len() {
            return Err(ExchangeError::Strange(peer, format!("{} roots", reply.roots.len())));
        }
        reply.roots.iter().map(|bytes| root(peer, bytes)).collect()
    }

    /// Whether a peer has the same roots as this node of all partitions that both share, `count` of them, whose roots
    /// here amount to the hash `ours`; and if not, which it has. One round trip, whatever the answer.
    pub async fn shared_roots(
        &self,
        peer: NodeId,
        ours: MerkleHash,
        count: usize,
        stamp: SenderStamp,
    ) -> Result<SharedRoots, ExchangeError> {
        let request =
            MerkleRootsRequest { shared: Bytes::copy_from_slice(&ours.0), ..MerkleRootsRequest::default() };
        let reply: MerkleRootsReply = self.ask(peer, Op::MerkleRoots(request), stamp).await?;
        if reply.alike {
            return Ok(SharedRoots::Alike);
        }
        // Of another number it has worked out another list than this node, and means other partitions.
        if reply.partitions.is_empty() || reply.partitions.len() != count {
            return Ok(SharedRoots::Untold);
        }
        let roots = reply.partitions.iter().map(|bytes| root(peer, bytes));
        Ok(SharedRoots::Roots(roots.collect::<Result<_, _>>()?))
    }

    /// What lies under these prefixes of some partitions' trees at a peer, in their order. Partitions without prefixes
    /// are answered with no nodes, and not asked for.
    pub async fn nodes(
        &self,
        peer: NodeId,
        wanted: &[(Partition, &[Prefix])],
        stamp: SenderStamp,
    ) -> Result<Vec<Told>, ExchangeError> {
        let asked: Vec<_> = wanted.iter().filter(|(_, prefixes)| !prefixes.is_empty()).collect();
        let mut told = Vec::new();
        if let Some(((partition, prefixes), more)) = asked.split_first() {
            let encode = |prefixes: &[Prefix]| prefixes.iter().map(|prefix| prefix.encode().into()).collect();
            let of = |(partition, prefixes): &&(Partition, &[Prefix])| MerklePrefixes {
                partition: partition.0.into(),
                prefixes: encode(prefixes),
            };
            let request = MerkleChildrenRequest {
                partition: partition.0.into(),
                prefixes: encode(prefixes),
                more: more.iter().map(of).collect(),
            };
            match self.ask::<MerkleChildrenReply>(peer, Op::MerkleChildren(request), stamp).await {
                Ok(reply) => {
                    told.push(Told::Nodes(nodes(peer, prefixes, &reply.nodes)?));
                    // A member that does not know `more` has answered for the first alone.
                    for ((_, prefixes), reply) in more.iter().copied().zip(&reply.more) {
                        told.push(match &reply.nodes[..] {
                            [] => Told::NotHeld,
                            some => Told::Nodes(nodes(peer, prefixes, some)?),
                        });
                    }
                }
                // This is said of the first.
                Err(ExchangeError::Peer(PeerError::Refused(Refused {
                    reason: Reason::NotHolder, ..
                }))) => {
                    told.push(Told::NotHeld);
                }
                Err(why) => return Err(why),
            }
        }
        let mut told = told.into_iter();
        let one = |(_, prefixes): &(Partition, &[Prefix])| match prefixes {
            [] => Told::Nodes(Vec::new()),
            _ => told.next().unwrap_or(Told::Untold),
        };
        Ok(wanted.iter().map(one).collect())
    }

    /// The states at a peer of the keys at the first `most` of these positions, as many as fit into a message; and the
    /// positions that are left. A key that is no longer there is in neither.
    pub async fn fetch(
        &self,
        peer: NodeId,
        (partition, q): (Partition, Partitions),
        positions: &[Position],
        most: usize,
        stamp: SenderStamp,
    ) -> Result<(Vec<KeyAndState>, Vec<Position>), ExchangeError> {
        let now = &positions[..positions.len().min(most)];
        let asked = now.iter().map(|position| Bytes::copy_from_slice(position.as_bytes())).collect();
        let request = FetchManyRequest { partition: partition.0.into(), positions: asked };
        let reply: FetchManyReply = self.ask(peer, Op::FetchMany(request), stamp).await?;
        let entries = from_peer(peer, reply.entries, (partition, q))?;
        let mut got = 0;
        if reply.more {
            // Answered in the order asked, so what comes after the last answered one is still to come.
            let last = entries.last().map(|(key, _)| key.position());
            let at = now.iter().position(|position| Some(*position) == last);
            got = at.ok_or_else(|| ExchangeError::Strange(peer, "more of nothing".to_owned()))? + 1;
        }
        let rest = if reply.more { &positions[got..] } else { &positions[now.len()..] };
        Ok((entries, rest.to_vec()))
    }

    /// Has a peer merge these entries; returns when they are on its disk. With `hint_for` it stands in for that member.
    pub async fn push(
        &self,
        peer: NodeId,
        entries: Vec<KeyAndState>,
        hint_for: Option<NodeId>,
        stamp: SenderStamp,
    ) -> Result<(), ExchangeError> {
        if entries.is_empty() {
            return Ok(());
        }
        let bytes = bytes_of(&entries);
        let entry = |(key, state): KeyAndState| Entry { data_key: key.as_bytes().clone(), state };
        let request = StoreManyRequest {
            entries: entries.into_iter().map(entry).collect(),
            hint_for: hint_for.map(node_id_bytes).unwrap_or_default(),
        };
        let within = WITHIN + Duration::from_secs(bytes / SLOWEST);
        let op = Op::StoreMany(request);
        let StoreManyReply {} = ask(&*self.network, peer, op, stamp, within).await?;
        Ok(())
    }

    /// The layout record of a peer, and the step that it has acknowledged.
    pub async fn acked(
        &self,
        peer: NodeId,
        stamp: SenderStamp,
    ) -> Result<Option<SenderStamp>, ExchangeError> {
        let reply: LayoutReply = self.ask(peer, Op::Layout(LayoutRequest {}), stamp).await?;
        let parse =
            |stamp| wire::stamp(Some(&stamp)).map_err(|why| ExchangeError::Strange(peer, why.to_string()));
        reply.acked.map(parse).transpose()
    }

    /// Merges these entries here, durably, and says how many brought anything new.
    pub async fn merge(
        &self,
        entries: Vec<KeyAndState>,
        from: Option<PeerMark>,
    ) -> Result<usize, ExchangeError> {
        if entries.is_empty() {
            return Ok(0);
        }
        Ok(submit(&self.committer, MergeMany { entries, hint: None, from }).await?)
    }

    async fn ask<A: Answer>(&self, peer: NodeId, op: Op, stamp: SenderStamp) -> Result<A, ExchangeError> {
        Ok(ask(&*self.network, peer, op, stamp, WITHIN).await?)
    }
}

/// A root as a peer sends it; `None` if it does not hold the partition.
fn root(peer: NodeId, bytes: &Bytes) -> Result<Option<MerkleHash>, ExchangeError> {
    match bytes[..].try_into() {
        Ok(root) => Ok(Some(MerkleHash(root))),
        Err(_) if bytes.is_empty() => Ok(None),
        Err(_) => Err(ExchangeError::Strange(peer, "a root of a wrong length".to_owned())),
    }
}

/// Nodes as a peer sends them, one for each prefix.
fn nodes(peer: NodeId, prefixes: &[Prefix], encoded: &[Bytes]) -> Result<Vec<Node>, ExchangeError> {
    if encoded.len() != prefixes.len() {
        return Err(ExchangeError::Strange(peer, format!("{} merkle nodes", encoded.len())));
    }
    let node = |(prefix, bytes): (&Prefix, &Bytes)| {
        if bytes.is_empty() {
            return Ok(Node::default());
        }
        Node::decode(*prefix, bytes).map_err(|why| ExchangeError::Strange(peer, why.to_string()))
    };
    prefixes.iter().zip(encoded).map(node).collect()
}

/// A peer's entries, if each key lies at its own position and in the partition.
pub fn from_peer(
    peer: NodeId,
    entries: Vec<Entry>,
    (partition, q): (Partition, Partitions),
) -> Result<Vec<KeyAndState>, ExchangeError> {
    let entry = |entry: Entry| {
        let strange = |why: String| ExchangeError::Strange(peer, why);
        let key = DataKey::from_peer(entry.data_key).map_err(|why| strange(why.to_string()))?;
        if key.position().partition(q) != partition {
            return Err(strange(format!("a key that is not in partition {partition}")));
        }
        Ok((key, entry.state))
    };
    entries.into_iter().map(entry).collect()
}

/// Bytes of some entries.
pub fn bytes_of(entries: &[KeyAndState]) -> u64 {
    entries.iter().map(|(key, state)| (key.as_bytes().len() + state.len()) as u64).sum()
}
