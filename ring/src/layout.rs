//! Who holds what: for every partition, the ordered list of the N members that hold it.
//!
//! A layout is an explicit table, not a rule, so that movement can be minimal and zones can be kept. A value of
//! [`Layout`] is always whole: its constructor and its deserialisation refuse a table that is not.

mod encoding;
mod error;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::error::LayoutError;
use crate::{ClusterId, LayoutHash, LayoutId, NodeId, Partition, Partitions};

/// A pod with a node id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The pod's name. Unique within a layout.
    pub name: String,
    /// What the member's data directory calls itself. Unique within a layout.
    pub node_id: NodeId,
    /// The failure domain; empty where there are none. Every zone counts as one, the empty one too.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// Where peers dial it, `host:port`; a stable name, since gossip carries the passing addresses.
    pub address: String,
    /// How much it is to hold, next to the others: one of weight 2 gets twice the replicas and tokens of one of
    /// weight 1. From 1 to [`MAX_WEIGHT`]; 1 where nobody says otherwise, and then it is not written down.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: u16,
}

/// The most that one member may weigh: further apart, the small ones would hold next to nothing, which is no cluster
/// that anybody means.
pub const MAX_WEIGHT: u16 = 64;

const fn one() -> u16 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands it over so
const fn is_one(weight: &u16) -> bool {
    *weight == 1
}

/// The members of a cluster and what each of them holds, at one epoch.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "encoding::Document", into = "encoding::Document")]
pub struct Layout {
    id: LayoutId,
    cluster_id: ClusterId,
    partitions: Partitions,
    n: u8,
    /// Sorted by name.
    members: Vec<Member>,
    /// Indexes into `members`, sorted by node id.
    by_id: Vec<u16>,
    /// Q rows of N indexes into `members`, one after another.
    table: Vec<u16>,
}

impl Layout {
    /// A layout, if everything in it holds: at least `n` members, sorted by name, of unique names and node ids and of
    /// possible weights, and for each partition a row of exactly `n` different members, the token's owner first.
    ///
    /// Fewer than `n` members are an error and not a shorter row: a write quorum that the spec promises would
    /// silently shrink.
    pub fn new(
        epoch: u64,
        cluster_id: ClusterId,
        partitions: Partitions,
        n: u8,
        members: Vec<Member>,
        table: &[Vec<u16>],
    ) -> Result<Self, LayoutError> {
        if epoch == 0 {
            return Err(LayoutError::NoEpoch);
        }
        let by_id = Self::check_members(n, &members)?;
        let table = check_table(partitions, n, members.len(), table)?;
        let mut layout = Self {
            id: LayoutId { epoch, hash: LayoutHash([0; 16]) },
            cluster_id,
            partitions,
            n,
            members,
            by_id,
            table,
        };
        layout.id.hash = encoding::hash(&layout);
        Ok(layout)
    }

    /// Its name: the epoch and a hash over everything it says.
    ///
    /// The hash is the first 16 bytes of the SHA-256 of: the text `dynamo.layout.v1`, the cluster id, the epoch
    /// (u64), Q (u16), N (u8), the number of members (u16), for each member its node id, then name, zone and address,
    /// each as length (u32) and bytes, then the table row by row, each entry a u16. Integers are big-endian. Where any
    /// weight is not 1, the weights of all members follow, each a u16: so a layout without weights has the hash that
    /// it had before there were any.
    pub const fn id(&self) -> LayoutId {
        self.id
    }

    /// Rises with every layout that is proposed; the first is 1.
    pub const fn epoch(&self) -> u64 {
        self.id.epoch
    }

    /// The cluster it belongs to.
    pub const fn cluster_id(&self) -> ClusterId {
        self.cluster_id
    }

    /// Q.
    pub const fn partitions(&self) -> Partitions {
        self.partitions
    }

    /// N: how many members hold each partition.
    pub const fn n(&self) -> u8 {
        self.n
    }

    /// All members, sorted by name. The table's entries are indexes into this.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member with this node id.
    pub fn member(&self, node_id: &NodeId) -> Option<&Member> {
        self.index(node_id).map(|i| &self.members[usize::from(i)])
    }

    /// Whether this node id is a member.
    pub fn names(&self, node_id: &NodeId) -> bool {
        self.index(node_id).is_some()
    }

    /// The row of `partition`: indexes into [`members`](Self::members), the token's owner first. Empty for a
    /// partition beyond Q.
    pub fn row(&self, partition: Partition) -> &[u16] {
        let n = usize::from(self.n);
        let start = partition.index() * n;
        self.table.get(start..start + n).unwrap_or(&[])
    }

    /// The N members that hold `partition`, the token's owner first. Empty for a partition beyond Q.
    pub fn holders(
        &self,
        partition: Partition,
    ) -> impl DoubleEndedIterator<Item = &Member> + ExactSizeIterator + Clone {
        self.row(partition).iter().map(|&i| &self.members[usize::from(i)])
    }

    /// Who owns the token of `partition`: the first of its holders.
    pub fn owner(&self, partition: Partition) -> Option<&Member> {
        self.holders(partition).next()
    }

    /// Whether `node_id` holds `partition`.
    pub fn holds(&self, node_id: &NodeId, partition: Partition) -> bool {
        self.index(node_id).is_some_and(|i| self.row(partition).contains(&i))
    }

    /// The partitions that `node_id` holds, in ring order; none if it is no member.
    pub fn partitions_of(&self, node_id: &NodeId) -> impl Iterator<Item = Partition> + '_ {
        let index = self.index(node_id);
        self.partitions.iter().filter(move |&p| index.is_some_and(|i| self.row(p).contains(&i)))
    }

    /// The partitions whose token `node_id` owns, in ring order.
    pub fn tokens_of(&self, node_id: &NodeId) -> impl Iterator<Item = Partition> + '_ {
        let index = self.index(node_id);
        self.partitions.iter().filter(move |&p| index.is_some_and(|i| self.row(p).first() == Some(&i)))
    }

    /// Where in [`members`](Self::members) this node id stands.
    pub fn index(&self, node_id: &NodeId) -> Option<u16> {
        let at = self.by_id.binary_search_by_key(node_id, |&i| self.members[usize::from(i)].node_id).ok()?;
        Some(self.by_id[at])
    }

    /// The order of node ids, if the members are acceptable.
    pub(crate) fn check_members(n: u8, members: &[Member]) -> Result<Vec<u16>, LayoutError> {
        if n == 0 {
            return Err(LayoutError::NoReplicas);
        }
        if members.len() < usize::from(n) {
            return Err(LayoutError::TooFewMembers { members: members.len(), n });
        }
        let count = u16::try_from(members.len()).map_err(|_| LayoutError::TooManyMembers(members.len()))?;
        if members.iter().any(|m| m.name.is_empty()) {
            return Err(LayoutError::Nameless);
        }
        if let Some(m) = members.iter().find(|m| !(1..=MAX_WEIGHT).contains(&m.weight)) {
            return Err(LayoutError::Weight { name: m.name.clone(), weight: m.weight });
        }
        for pair in members.windows(2) {
            if pair[0].name == pair[1].name {
                return Err(LayoutError::NameTwice(pair[0].name.clone()));
            }
            if pair[0].name > pair[1].name {
                return Err(LayoutError::Unsorted(pair[1].name.clone()));
            }
        }
        let mut by_id: Vec<u16> = (0..count).collect();
        let node_id = |i: u16| members[usize::from(i)].node_id;
        by_id.sort_unstable_by_key(|&i| node_id(i));
        match by_id.windows(2).find(|pair| node_id(pair[0]) == node_id(pair[1])) {
            Some(pair) => Err(LayoutError::NodeTwice(node_id(pair[0]))),
            None => Ok(by_id),
        }
    }
}

impl fmt::Debug for Layout {
    /// Without the table, which nobody wants in an assertion's output.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.members.iter().map(|m| m.name.as_str()).collect();
        write!(f, "Layout({}, q={}, n={}, members={names:?})", self.id, self.partitions, self.n)
    }
}

/// The table, flat, if every row is whole.
fn check_table(
    partitions: Partitions,
    n: u8,
    members: usize,
    table: &[Vec<u16>],
) -> Result<Vec<u16>, LayoutError> {
    if table.len() != partitions.count() {
        return Err(LayoutError::Rows { rows: table.len(), partitions });
    }
    for (partition, row) in partitions.iter().zip(table) {
        if row.len() != usize::from(n) {
            return Err(LayoutError::RowLength { partition, holders: row.len(), n });
        }
        for (at, &index) in row.iter().enumerate() {
            if usize::from(index) >= members {
                return Err(LayoutError::NoSuchMember { partition, index });
            }
            if row[..at].contains(&index) {
                return Err(LayoutError::HolderTwice { partition, index });
            }
        }
    }
    Ok(table.concat())
}

#[cfg(test)]
mod tests;
