//! The ways to place keys, side by side: how even they are, what they move, what each member has to know.

use dynamo_ring::{Partitions, PlanError};

use crate::case::{Case, Shape, Side};
use crate::hashing::{Placement, by_table, by_token, by_token_and_partition};
use crate::plans::step;

/// Bytes of a token, and of a member's number in a table.
const TOKEN_BYTES: u32 = 16;
const ENTRY_BYTES: u32 = 2;
/// Replicas, as in the paper.
const N: usize = 3;

/// One way to place keys at one size.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Bytes that each member has to know.
    pub bytes: u32,
    /// Mean load over the largest.
    pub efficiency: f64,
}

/// A line of figure 8.
#[derive(Debug, Clone, PartialEq)]
pub struct Strategy {
    /// Its name.
    pub name: &'static str,
    /// From little to much that each member has to know.
    pub points: Vec<Point>,
}

/// What one step of one size costs, one way after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Steps {
    /// Members before.
    pub members: u32,
    /// How many come.
    pub more: u32,
    /// For each of [`WAYS`]: what moves over the least that an even placement has to move.
    pub moved: Vec<f64>,
    /// For each of [`WAYS`]: mean load over the largest, afterwards.
    pub efficiency: Vec<f64>,
}

/// The ways that are compared.
pub const WAYS: [&str; 4] = [
    "this store (strategy 3)",
    "one token a member",
    "256 tokens a member",
    "256 tokens, 4096 equal partitions (strategy 2)",
];

fn rows(side: &Side) -> Vec<Vec<u32>> {
    (0..side.rows.len()).map(|p| side.holders(p).collect()).collect()
}

/// Figure 8: S = 30, N = 3.
pub fn figure_8() -> Result<Vec<Strategy>, PlanError> {
    const S: u32 = 30;
    let random =
        |each: u32| Point { bytes: S * each * TOKEN_BYTES, efficiency: by_token(S, each, N).efficiency(S) };
    let equal = |each: u32| {
        let partitions = (8 * S * each).next_power_of_two();
        Point {
            bytes: S * each * TOKEN_BYTES + partitions * ENTRY_BYTES,
            efficiency: by_token_and_partition(S, each, partitions, N).efficiency(S),
        }
    };
    let mut table = Vec::new();
    for partitions in [32, 64, 128, 256, 512, 1024, 2048, 4096] {
        let Ok(q) = Partitions::new(partitions) else { continue };
        if let Some(Case { after, .. }) = step(q, Shape::Even, 1, S - 1, 1)? {
            let efficiency = by_table(&rows(&after)).efficiency(S);
            // Whole layouts: N members of each partition.
            table.push(Point { bytes: partitions * ENTRY_BYTES * 3, efficiency });
        }
    }
    let tokens = [1, 2, 4, 8, 16, 32, 64, 128, 256];
    Ok(vec![
        Strategy { name: "1: random tokens, partitions between them", points: tokens.map(random).to_vec() },
        Strategy { name: "2: random tokens, equal partitions", points: tokens.map(equal).to_vec() },
        Strategy { name: "3: equal tokens, equal partitions (this store)", points: table },
    ])
}

/// From `members` by `more`, in one zone.
pub fn steps(partitions: Partitions, members: u32, more: u32) -> Result<Option<Steps>, PlanError> {
    let Ok(by) = i32::try_from(more) else { return Ok(None) };
    let Some(case) = step(partitions, Shape::Even, 1, members, by)? else { return Ok(None) };
    let after = members + more;
    let ours = (by_table(&rows(&case.before)), by_table(&rows(&case.after)));
    let one = |count: u32, each: u32| by_token(count, each, N);
    let equal = |count: u32| by_token_and_partition(count, 256, 4096, N);
    let ways: [(Placement, Placement); 4] = [
        ours,
        (one(members, 1), one(after, 1)),
        (one(members, 256), one(after, 256)),
        (equal(members), equal(after)),
    ];
    // Those that come have to get their part.
    let least = 3.0 * f64::from(more) / f64::from(after);
    Ok(Some(Steps {
        members,
        more,
        moved: ways.iter().map(|(before, after)| after.moved_from(before) / least).collect(),
        efficiency: ways.iter().map(|(_, placed)| placed.efficiency(after)).collect(),
    }))
}
