//! What a change of members moves, member by member. Pure.

use std::collections::BTreeMap;

use dynamo_ring::{Layout, plan};
use serde_json::{Value as Json, json};

use crate::text::table;

/// A member's replicas before, after, and those it has to copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Share {
    before: usize,
    after: usize,
    copies: usize,
}

/// The change from one layout to another.
#[derive(Debug)]
pub(crate) struct Moves {
    shares: BTreeMap<String, Share>,
    moved: usize,
    replicas: usize,
}

impl Moves {
    /// Between these two.
    pub(crate) fn between(from: &Layout, to: &Layout) -> Self {
        let mut shares: BTreeMap<String, Share> = BTreeMap::new();
        for member in from.members() {
            shares.entry(member.name.clone()).or_default().before =
                from.partitions_of(&member.node_id).count();
        }
        for member in to.members() {
            shares.entry(member.name.clone()).or_default().after = to.partitions_of(&member.node_id).count();
        }
        let moves = plan::moves(from, to);
        for moved in &moves {
            let name = to.member(&moved.member).map(|m| m.name.clone()).unwrap_or_default();
            shares.entry(name).or_default().copies += 1;
        }
        Self { shares, moved: moves.len(), replicas: to.partitions().count() * usize::from(to.n()) }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut rows = vec![["MEMBER", "REPLICAS", "AFTER", "TO COPY"].map(str::to_owned).to_vec()];
        for (name, share) in &self.shares {
            let Share { before, after, copies } = share;
            rows.push(vec![name.clone(), before.to_string(), after.to_string(), copies.to_string()]);
        }
        format!("{}\n{} of {} replicas move, the fewest possible\n", table(&rows), self.moved, self.replicas)
    }

    /// For scripts.
    pub(crate) fn json(&self) -> Json {
        let members: BTreeMap<_, _> = self
            .shares
            .iter()
            .map(|(name, s)| (name, json!({"before": s.before, "after": s.after, "to_copy": s.copies})))
            .collect();
        json!({"moved": self.moved, "replicas": self.replicas, "members": members})
    }
}

#[cfg(test)]
mod tests {
    use dynamo_ring::{ClusterId, Member, NodeId, Partitions};

    use super::*;

    #[test]
    fn a_new_member_copies_its_share_and_nobody_else_copies() {
        let member = |i: u8| Member {
            name: format!("m-{i}"),
            node_id: NodeId([i; 16]),
            zone: String::new(),
            address: String::new(),
            weight: 1,
        };
        let members: Vec<_> = (0..4).map(member).collect();
        let q = Partitions::new(16).unwrap();
        let three = plan::first(&members[..3], q, 3, ClusterId([0; 16])).unwrap();
        let four = plan::plan(&three, &members, 2).unwrap();
        let moves = Moves::between(&three, &four);
        assert_eq!(moves.shares["m-3"], Share { before: 0, after: 12, copies: 12 });
        assert_eq!(moves.shares["m-0"], Share { before: 16, after: 12, copies: 0 });
        assert!(moves.text().contains("12 of 48 replicas move"));
        assert_eq!(moves.json()["members"]["m-3"]["to_copy"], 12);
    }
}
