//! The changes of layout whose movement is looked at, as the planner makes them.

use dynamo_ring::{ClusterId, Layout, Member, NodeId, Partitions, PlanError, Position, plan};

use crate::case::{Case, Shape, Side};

/// The largest cluster.
pub const MOST_MEMBERS: u32 = 64;
/// The most zones.
pub const MOST_ZONES: u32 = 8;
/// The most members that come or go at once.
pub const MOST_STEP: u32 = 8;

/// The replicas of each partition: three, or as many as the smaller of two clusters has members.
const fn replicas(members: u32) -> u32 {
    if members < 3 { members } else { 3 }
}

/// Member `number` of a cluster over `zones` zones.
fn member(shape: Shape, zones: u32, number: u32) -> Member {
    let zone = match shape {
        Shape::Even | Shape::Walk => number % zones,
        Shape::Skewed => (number + 1).trailing_zeros().min(zones - 1),
    };
    let name = format!("cart-{number:05}");
    let node_id = NodeId(Position::of(name.as_bytes()).0);
    Member { address: format!("{name}:7070"), name, node_id, zone: zone.to_string(), weight: 1 }
}

fn side(layout: &Layout) -> Side {
    // Names and zones were made from numbers by `member`.
    let number = |text: &str| text.trim_start_matches("cart-").parse().unwrap_or_default();
    Side {
        members: layout.members().iter().map(|m| number(&m.name)).collect(),
        zones: layout.members().iter().map(|m| number(&m.zone)).collect(),
        rows: layout.partitions().iter().map(|p| layout.row(p).to_vec()).collect(),
    }
}

/// From a first layout of `size` members by `step`; none if nobody would be left, or there would be more than
/// [`MOST_MEMBERS`].
pub fn step(
    partitions: Partitions,
    shape: Shape,
    zones: u32,
    size: u32,
    step: i32,
) -> Result<Option<Case>, PlanError> {
    let Some(next) = size.checked_add_signed(step).filter(|next| (1..=MOST_MEMBERS).contains(next)) else {
        return Ok(None);
    };
    let n = replicas(size.min(next));
    let members: Vec<Member> = (0..size.max(next)).map(|i| member(shape, zones, i)).collect();
    let of = |count: u32| &members[..count as usize];
    let before = plan::first(of(size), partitions, u8::try_from(n).unwrap_or(u8::MAX), ClusterId([7; 16]))?;
    let after = plan::plan(&before, of(next), 2)?;
    Ok(Some(Case { shape, zones, n, before: side(&before), after: side(&after) }))
}

/// `length` changes one upon another, of up to [`MOST_STEP`] members each, any of whom may leave.
pub fn walk(partitions: Partitions, zones: u32, length: u32) -> Result<Vec<Case>, PlanError> {
    let draw = |what: &str, i: u32, below: usize| -> usize {
        let word = u128::from_be_bytes(Position::of(format!("{what} {zones} {i}").as_bytes()).0) >> 96;
        usize::try_from(word).unwrap_or_default() % below
    };
    let n = 3;
    let mut members: Vec<Member> = (0..8).map(|i| member(Shape::Walk, zones, i)).collect();
    let mut fresh = 8;
    let mut layout = plan::first(&members, partitions, n, ClusterId([7; 16]))?;
    let mut cases = Vec::new();
    for i in 0..length {
        let by = 1 + draw("by", i, MOST_STEP as usize);
        let room = MOST_MEMBERS as usize - members.len();
        if draw("grow", i, 2) == 0 && members.len() >= by + usize::from(n) || by > room {
            for leaving in 0..u32::try_from(by).unwrap_or(0) {
                members.remove(draw("leave", i * 100 + leaving, members.len()));
            }
        } else {
            for _ in 0..by {
                members.push(member(Shape::Walk, zones, fresh));
                fresh += 1;
            }
        }
        let next = plan::plan(&layout, &members, layout.epoch() + 1)?;
        let (before, after) = (side(&layout), side(&next));
        cases.push(Case { shape: Shape::Walk, zones, n: n.into(), before, after });
        layout = next;
    }
    Ok(cases)
}
