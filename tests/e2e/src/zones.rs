//! Whether the replicas of each partition are as far apart as the zones of the members allow.

use std::collections::BTreeSet;

use dynamo_ring::{Layout, Member};

/// The zones of a layout's members; none if they are unknown.
pub fn of(layout: &Layout) -> BTreeSet<&str> {
    layout.members().iter().map(|member| member.zone.as_str()).filter(|zone| !zone.is_empty()).collect()
}

/// The first partition whose replicas are in fewer zones than they could be, in words.
pub fn crowded(layout: &Layout) -> Option<String> {
    let apart = of(layout).len().min(usize::from(layout.n()));
    let partition = layout.partitions().iter().find(|partition| {
        let zones: BTreeSet<&str> = layout.holders(*partition).map(|member| member.zone.as_str()).collect();
        zones.len() < apart
    })?;
    let holder = |member: &Member| format!("{} in `{}`", member.name, member.zone);
    let holders: Vec<String> = layout.holders(partition).map(holder).collect();
    Some(format!(
        "epoch {}: {partition} could be in {apart} zones, and is on {}",
        layout.epoch(),
        holders.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use dynamo_ring::{ClusterId, NodeId, Partitions};

    use super::*;

    fn layout(zones: &[&str], rows: &[[u16; 2]]) -> Layout {
        let member = |(i, zone): (usize, &&str)| Member {
            name: format!("cart-{i}"),
            node_id: NodeId((i as u128 + 1).to_be_bytes()),
            zone: (*zone).to_owned(),
            address: format!("cart-{i}:7070"),
            weight: 1,
        };
        let members = zones.iter().enumerate().map(member).collect();
        let table: Vec<Vec<u16>> = (0..8).map(|p| rows[p % rows.len()].to_vec()).collect();
        Layout::new(1, ClusterId([1; 16]), Partitions::new(8).unwrap(), 2, members, &table).unwrap()
    }

    #[test]
    fn two_replicas_in_one_zone_are_seen_where_another_is_free() {
        assert_eq!(crowded(&layout(&["a", "b", "a"], &[[0, 1], [1, 2]])), None);
        let text = crowded(&layout(&["a", "b", "a"], &[[0, 1], [0, 2]])).unwrap();
        assert!(text.contains("cart-0 in `a`, cart-2 in `a`"), "{text}");
    }

    #[test]
    fn one_zone_and_none_hold_what_they_can() {
        assert_eq!(crowded(&layout(&["a", "a"], &[[0, 1]])), None);
        assert_eq!(crowded(&layout(&["", ""], &[[0, 1]])), None);
        assert!(of(&layout(&["", ""], &[[0, 1]])).is_empty());
    }
}
