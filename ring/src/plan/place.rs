//! The two flows of a plan: which members hold each partition, and which of those owns its token.

use super::PlanError;
use super::affinity::{affinity, shuffled};
use super::bounds::Bounds;
use super::flow::{Arc, Network, Node};
use crate::{Layout, Member, Partition, Partitions};

/// The question: N replicas of each of Q partitions, on these members, coming from that layout.
pub(super) struct Placement<'a> {
    members: &'a [Member],
    partitions: Partitions,
    n: u8,
    /// Breaks ties. The epoch of the stable layout: so every target that replaces another chooses alike, and it is
    /// not the same partitions that move in every change.
    salt: u64,
    /// For each partition, who of `members` holds it now, in order.
    held: Vec<Vec<u16>>,
}

const SOURCE: Node = 0;
const SINK: Node = 1;

impl<'a> Placement<'a> {
    /// `members` are sorted by name.
    pub(super) fn new(members: &'a [Member], partitions: Partitions, n: u8, stable: Option<&Layout>) -> Self {
        let index = |member: &Member| {
            let at = members.iter().position(|m| m.node_id == member.node_id)?;
            u16::try_from(at).ok()
        };
        let held = match stable {
            None => vec![Vec::new(); partitions.count()],
            Some(stable) => {
                let now: Vec<Option<u16>> = stable.members().iter().map(index).collect();
                let translate = |p| stable.row(p).iter().filter_map(|&i| now[usize::from(i)]).collect();
                partitions.iter().map(translate).collect()
            }
        };
        Self { members, partitions, n, salt: stable.map_or(0, Layout::epoch), held }
    }

    /// The rows as they are, for members that are all still there.
    pub(super) fn into_held(self) -> Vec<Vec<u16>> {
        self.held
    }

    /// A row for each partition: the token's owner, then those that held it before, in their order, then those that
    /// gain it.
    pub(super) fn rows(&self) -> Result<Vec<Vec<u16>>, PlanError> {
        let mut rows = self.holders()?;
        let owners = self.owners(&rows)?;
        for (row, owner) in rows.iter_mut().zip(owners) {
            row[..=owner].rotate_right(1);
        }
        Ok(rows)
    }

    fn indexes(&self) -> impl Iterator<Item = u16> + use<> {
        (0..).take(self.members.len())
    }

    /// Node numbers: source, sink, the partitions, the members; then what a caller needs besides.
    fn partition_node(partition: Partition) -> Node {
        2 + Node::from(partition.0)
    }

    fn member_node(&self, index: u16) -> Node {
        2 + Node::from(self.partitions.get()) + Node::from(index)
    }

    fn first_free_node(&self) -> usize {
        2 + self.partitions.count() + self.members.len()
    }

    /// The cheapest placement within the bounds.
    ///
    /// source -N-> partition -cap-> its zone -1-> member -load-> sink, and a unit costs one where it is a move.
    /// Filling the least loads before the rest makes them binding, since nothing is taken back out of the sink; so
    /// does filling zones to their limits before the others take what is left.
    fn holders(&self) -> Result<Vec<Vec<u16>>, PlanError> {
        let (q, n) = (u32::from(self.partitions.get()), u32::from(self.n));
        let bounds = Bounds::new(self.members, q, n);
        let zones = bounds.zone_size.len();
        let mut next_zone_node = self.first_free_node();
        let mut net = Network::new(next_zone_node + zones * self.partitions.count(), SOURCE, SINK);
        for partition in shuffled(self.partitions, self.salt) {
            net.arc(SOURCE, Self::partition_node(partition), n, 0);
        }
        let mut choices: Vec<Vec<(u16, Arc)>> = Vec::with_capacity(self.partitions.count());
        for partition in self.partitions.iter() {
            let held = &self.held[partition.index()];
            let mut zone_node: Vec<Option<Node>> = vec![None; zones];
            let mut choice = Vec::with_capacity(self.members.len());
            for index in self.by_affinity(partition) {
                let zone = bounds.zone_of[usize::from(index)];
                let mut from = Self::partition_node(partition);
                if bounds.binds(zone, n) {
                    from = *zone_node[zone].get_or_insert_with(|| {
                        let node = Node::try_from(next_zone_node).unwrap_or(Node::MAX);
                        next_zone_node += 1;
                        net.arc(from, node, bounds.zone_cap, 0);
                        node
                    });
                }
                let cost = u8::from(!held.contains(&index));
                choice.push((index, net.arc(from, self.member_node(index), 1, cost)));
            }
            choices.push(choice);
        }
        let into_sink: Vec<Arc> = self
            .indexes()
            .zip(&bounds.load)
            .map(|(index, load)| net.arc(self.member_node(index), SINK, load.least, 0))
            .collect();
        let mut placed = net.fill();
        for at_limit in [true, false] {
            for (&arc, load) in
                into_sink.iter().zip(&bounds.load).filter(|(_, load)| load.at_limit == at_limit)
            {
                net.widen(arc, load.most - load.least);
            }
            placed += net.fill();
        }
        if placed != q * n {
            return Err(PlanError::NoFlow);
        }
        let taken = |choice: &Vec<(u16, Arc)>| -> Vec<u16> {
            choice.iter().filter(|(_, arc)| net.flow(*arc) > 0).map(|(index, _)| *index).collect()
        };
        let mut rows: Vec<Vec<u16>> = choices.iter().map(taken).collect();
        for (row, held) in rows.iter_mut().zip(&self.held) {
            // Stable: those that gain it stay in the order of affinity.
            row.sort_by_key(|index| held.iter().position(|h| h == index).unwrap_or(usize::MAX));
        }
        Ok(rows)
    }

    /// Where in each row the owner stands: tokens shared by weight as evenly as the rows allow, and kept where they are if
    /// possible. No data moves by this, so balance comes before keeping.
    fn owners(&self, rows: &[Vec<u16>]) -> Result<Vec<usize>, PlanError> {
        let q = u32::from(self.partitions.get());
        let weight: u32 = self.members.iter().map(|member| u32::from(member.weight)).sum();
        let mut net = Network::new(self.first_free_node(), SOURCE, SINK);
        for partition in shuffled(self.partitions, self.salt) {
            net.arc(SOURCE, Self::partition_node(partition), 1, 0);
        }
        let mut choices: Vec<Vec<Arc>> = Vec::with_capacity(rows.len());
        for ((partition, row), held) in self.partitions.iter().zip(rows).zip(&self.held) {
            let from = Self::partition_node(partition);
            let arc = |index: &u16| {
                net.arc(from, self.member_node(*index), 1, u8::from(held.first() != Some(index)))
            };
            choices.push(row.iter().map(arc).collect());
        }
        let into_sink: Vec<Arc> = self
            .indexes()
            .zip(self.members)
            .map(|(index, m)| net.arc(self.member_node(index), SINK, q * u32::from(m.weight) / weight, 0))
            .collect();
        let mut owned = net.fill();
        // Once round for the remainder. More only where zones keep some members from owning their share.
        for _ in 0..q {
            if owned == q {
                break;
            }
            for &arc in &into_sink {
                net.widen(arc, 1);
            }
            owned += net.fill();
        }
        choices
            .iter()
            .map(|choice| choice.iter().position(|&arc| net.flow(arc) > 0).ok_or(PlanError::NoFlow))
            .collect()
    }

    fn by_affinity(&self, partition: Partition) -> Vec<u16> {
        let mut order: Vec<u16> = self.indexes().collect();
        order.sort_by_cached_key(|&i| affinity(&self.members[usize::from(i)].node_id, partition));
        order
    }
}
