//! What a change that nobody has made yet would move in bytes, and how long that would take. Pure.

use std::collections::BTreeMap;

use dynamo_ring::{Layout, Member, NodeId, Partition, Position, plan};
use serde_json::{Value as Json, json};

use crate::text::{add, human, span};

/// How fast copies go, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rate {
    /// As they went when a member last copied something, or do now.
    Measured(u64),
    /// Nobody has copied anything yet, but this is the most that they may.
    Limit(u64),
}

impl Rate {
    /// Of what the members say of themselves: the slowest copy that any has made, or else the lowest limit. Nothing if
    /// there is neither.
    pub(crate) fn of(measured: impl Iterator<Item = u64>, limits: impl Iterator<Item = u64>) -> Option<Self> {
        let measured = measured.filter(|rate| *rate > 0).min().map(Self::Measured);
        measured.or_else(|| limits.filter(|rate| *rate > 0).min().map(Self::Limit))
    }

    const fn bytes_per_second(self) -> u64 {
        match self {
            Self::Measured(rate) | Self::Limit(rate) => rate,
        }
    }
}

/// What would move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Estimate {
    /// Stored bytes that each member has to copy, by name.
    copies: BTreeMap<String, u64>,
    /// Replicas whose size no member has told.
    unsized_replicas: usize,
    rate: Option<Rate>,
}

impl Estimate {
    /// From one layout to another. `sizes` are stored bytes of partitions.
    pub(crate) fn new(
        from: &Layout,
        to: &Layout,
        sizes: &BTreeMap<Partition, u64>,
        rate: Option<Rate>,
    ) -> Self {
        let (mut copies, mut unsized_replicas) = (BTreeMap::<String, u64>::new(), 0);
        for moved in plan::moves(from, to) {
            let name = to.member(&moved.member).map(|member| member.name.clone()).unwrap_or_default();
            match sizes.get(&moved.partition) {
                Some(bytes) => *copies.entry(name).or_default() += bytes,
                None => unsized_replicas += 1,
            }
        }
        Self { copies, unsized_replicas, rate }
    }

    fn bytes(&self) -> u64 {
        self.copies.values().sum()
    }

    /// All copy at once, so it takes as long as the one that gets the most. Without sizes nobody knows.
    fn seconds(&self) -> Option<u64> {
        let most = self.copies.values().max().copied().unwrap_or(0);
        let rate = self.rate.filter(|_| self.unsized_replicas == 0)?;
        Some(most.div_ceil(rate.bytes_per_second()))
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut out = format!("about {} to copy", human(self.bytes()));
        if self.unsized_replicas > 0 {
            add(&mut out, format_args!(", and {} replicas whose size no member told", self.unsized_replicas));
        }
        match (self.rate, self.seconds()) {
            (Some(rate), Some(seconds)) => {
                let known = match rate {
                    Rate::Measured(_) => "as members copied last",
                    Rate::Limit(_) => "the limit: nothing was copied yet",
                };
                let each = human(rate.bytes_per_second());
                add(
                    &mut out,
                    format_args!("; about {} at {each} a second each ({known})", span(seconds * 1000)),
                );
            }
            (None, _) => {
                out.push_str(
                    "; how long is unknown: no member has copied anything yet, and none has a limit",
                );
            }
            (Some(_), None) => out.push_str("; how long is unknown"),
        }
        out.push('\n');
        out
    }

    /// For scripts.
    pub(crate) fn json(&self) -> Json {
        let from = self.rate.map(|rate| match rate {
            Rate::Measured(_) => "measured",
            Rate::Limit(_) => "limit",
        });
        json!({
            "bytes": self.bytes(),
            "members": self.copies,
            "replicas_of_unknown_size": self.unsized_replicas,
            "bytes_per_second": self.rate.map(Rate::bytes_per_second),
            "rate_from": from,
            "seconds": self.seconds(),
        })
    }
}

/// Members that do not exist yet, named on from those that do, each in the zone that has the fewest.
pub(crate) fn newcomers(members: &[Member], count: usize) -> Vec<Member> {
    let ordinal = |name: &str| name.rsplit_once('-').and_then(|(_, number)| number.parse::<u64>().ok());
    let next =
        members.iter().filter_map(|member| ordinal(&member.name)).max().map_or(0, |highest| highest + 1);
    let stem =
        members.first().and_then(|member| member.name.rsplit_once('-')).map_or("new", |(stem, _)| stem);
    let mut zones: BTreeMap<&str, usize> = BTreeMap::new();
    for member in members {
        *zones.entry(&member.zone).or_default() += 1;
    }
    let mut come = Vec::new();
    for number in (next..).take(count) {
        let name = format!("{stem}-{number}");
        let fewest = zones.iter().min_by_key(|(_, members)| **members).map_or("", |(zone, _)| *zone);
        *zones.entry(fewest).or_default() += 1;
        let node_id = NodeId(Position::of(format!("imagined {name}").as_bytes()).0);
        come.push(Member { address: name.clone(), name, node_id, zone: fewest.to_owned(), weight: 1 });
    }
    come
}

#[cfg(test)]
mod tests {
    use dynamo_ring::{ClusterId, Partitions};

    use super::*;

    fn member(i: u8, zone: &str) -> Member {
        Member {
            name: format!("cart-{i}"),
            node_id: NodeId([i + 1; 16]),
            zone: zone.into(),
            address: String::new(),
            weight: 1,
        }
    }

    #[test]
    fn newcomers_are_named_on_and_fill_the_zones() {
        let members: Vec<_> = ["a", "b", "c", "a"].iter().zip(0..).map(|(zone, i)| member(i, zone)).collect();
        let come = newcomers(&members, 2);
        let seen: Vec<_> = come.iter().map(|m| (m.name.as_str(), m.zone.as_str())).collect();
        assert_eq!(seen, [("cart-4", "b"), ("cart-5", "c")]);
        assert_ne!(come[0].node_id, come[1].node_id);
        assert_eq!(newcomers(&members[..1], 0), []);
    }

    #[test]
    fn what_moves_is_sized_and_takes_as_long_as_the_largest_share() {
        let members: Vec<_> = (0..3).map(|i| member(i, "")).collect();
        let q = Partitions::new(8).unwrap();
        let from = plan::first(&members, q, 3, ClusterId([0; 16])).unwrap();
        let all = [members.clone(), newcomers(&members, 1)].concat();
        let to = plan::plan(&from, &all, 2).unwrap();
        let sizes: BTreeMap<_, _> = q.iter().map(|p| (p, 1 << 20)).collect();
        let estimate = Estimate::new(&from, &to, &sizes, Some(Rate::Measured(2 << 20)));
        assert_eq!((estimate.bytes(), estimate.seconds()), (6 << 20, Some(3)));
        let text = estimate.text();
        assert!(text.contains("6.0 MiB") && text.contains("3000 ms") || text.contains("3 s"), "{text}");
        assert_eq!(estimate.json()["members"]["cart-3"], 6 << 20);
        let unknown = Estimate::new(&from, &to, &BTreeMap::new(), None);
        assert_eq!((unknown.unsized_replicas, unknown.seconds()), (6, None));
        assert!(unknown.text().contains("unknown"), "{}", unknown.text());
    }

    #[test]
    fn a_measured_rate_counts_before_a_limit() {
        let rate =
            |measured: &[u64], limits: &[u64]| Rate::of(measured.iter().copied(), limits.iter().copied());
        assert_eq!(rate(&[0, 9, 5], &[1]), Some(Rate::Measured(5)));
        assert_eq!(rate(&[0], &[7, 3]), Some(Rate::Limit(3)));
        assert_eq!(rate(&[], &[0]), None);
    }
}
