//! Changes of layout, held against what any placement would have to move, and against the most even loads.

use std::collections::BTreeMap;

use crate::bound::{fairest, least_moves, zone_cap};
use crate::case::{Case, Shape};
use crate::exact;

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Replicas that it moves.
    pub moved: usize,
    /// No placement moves fewer.
    pub least: usize,
    /// The maximum flow's bound, which cannot always be reached.
    pub bound: usize,
    /// Between the member that holds the most and the one that holds the least, after it.
    pub spread: usize,
    /// The same in the most even loads that zones allow.
    pub allowed: usize,
    /// Loads are the most even that zones allow.
    pub even: bool,
    /// No zone holds more replicas of a partition than it must, and no member two.
    pub apart: bool,
}

impl Verdict {
    /// Of this change.
    pub fn of(case: &Case) -> Self {
        let after = &case.after;
        let q = u32::try_from(after.rows.len()).unwrap_or(u32::MAX);
        let mut loads = after.loads();
        let mut fairest: Vec<usize> = fairest(&after.zones, q, case.n).iter().map(|&l| l as usize).collect();
        loads.sort_unstable();
        fairest.sort_unstable();
        let spread = |loads: &[usize]| loads.last().unwrap_or(&0) - loads.first().unwrap_or(&0);
        let (moved, bound) = (case.moved(), least_moves(case));
        let least = if moved == bound { bound } else { exact::least_moves(case) };
        Self {
            moved,
            least,
            bound,
            spread: spread(&loads),
            allowed: spread(&fairest),
            even: loads == fairest,
            apart: apart(case),
        }
    }

    /// Moved over the least possible: 1 where nothing has to move and nothing does.
    #[allow(clippy::cast_precision_loss)] // counts of replicas
    pub fn ratio(&self) -> f64 {
        if self.moved == self.least { 1.0 } else { self.moved as f64 / self.least as f64 }
    }
}

fn apart(case: &Case) -> bool {
    let after = &case.after;
    let cap = zone_cap(&after.zones, case.n);
    after.rows.iter().all(|row| {
        let mut in_zone: BTreeMap<u32, u32> = BTreeMap::new();
        for &i in row {
            *in_zone.entry(after.zones[usize::from(i)]).or_default() += 1;
        }
        let twice = (1..row.len()).any(|at| row[..at].contains(&row[at]));
        row.len() == case.n as usize && !twice && in_zone.values().all(|&count| count <= cap)
    })
}

/// Many changes of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sum {
    /// How many there are.
    pub changes: usize,
    /// Replicas moved by all.
    pub moved: usize,
    /// The least possible, of all.
    pub least: usize,
    /// The maximum flow's bound, of all.
    pub bound: usize,
    /// The largest ratio of one.
    pub worst: f64,
    /// How many move more than they must.
    pub over: usize,
    /// The largest difference between two members where zones allow one of at most one.
    pub spread: usize,
    /// In how many loads are not the most even possible, or zones not kept apart.
    pub faults: usize,
}

impl Sum {
    /// Adds one.
    pub fn add(&mut self, verdict: &Verdict) {
        self.changes += 1;
        self.moved += verdict.moved;
        self.least += verdict.least;
        self.bound += verdict.bound;
        self.worst = self.worst.max(verdict.ratio());
        self.over += usize::from(verdict.moved > verdict.least);
        if verdict.allowed <= 1 {
            self.spread = self.spread.max(verdict.spread);
        }
        self.faults += usize::from(!verdict.even || !verdict.apart);
    }
}

/// Sums by shape and zones.
pub type Sums = BTreeMap<(Shape, u32), Sum>;

/// Whether all of them keep what `docs/rebalancing.md` promises; if not, what is wrong.
pub fn check(sums: &Sums) -> Result<(), String> {
    for ((shape, zones), sum) in sums {
        let kind = format!("{}, {zones} zones", shape.name());
        if sum.changes == 0 {
            return Err(format!("{kind}: no change was looked at"));
        }
        if sum.worst > 1.0 {
            return Err(format!("{kind}: a change moves {:.4} times the least possible", sum.worst));
        }
        // Only zones can keep every placement from the bound, and not by much.
        if sum.moved > sum.bound && (*zones == 1 || 50 * sum.moved > 51 * sum.bound) {
            return Err(format!("{kind}: {} replicas move, and the bound is {}", sum.moved, sum.bound));
        }
        if sum.spread > 1 || sum.faults > 0 {
            return Err(format!("{kind}: {} uneven or crowded layouts, spread {}", sum.faults, sum.spread));
        }
    }
    Ok(())
}
