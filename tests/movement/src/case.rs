//! One change of layout as plain tables: all that the second program gets to see of the first.

use serde::{Deserialize, Serialize};

/// How the members lie in their zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// One after another through the zones, as the operator adds them; those that leave are the last ones.
    Even,
    /// Half of all in the first zone, a quarter in the second, and so on.
    Skewed,
    /// Changes one upon another, in which any members leave.
    Walk,
}

impl Shape {
    /// As a table names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Even => "even",
            Self::Skewed => "skewed",
            Self::Walk => "walk",
        }
    }
}

/// A layout: who there is, and which of them hold each partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// A number for each member, the same before and after.
    pub members: Vec<u32>,
    /// The zone of each member.
    pub zones: Vec<u32>,
    /// For each partition the members that hold it, as indexes into `members`.
    pub rows: Vec<Vec<u16>>,
}

/// A change from one layout to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// How members lie in zones.
    pub shape: Shape,
    /// How many zones there could be; small clusters may not reach all.
    pub zones: u32,
    /// N.
    pub n: u32,
    /// The layout that served.
    pub before: Side,
    /// The one that the planner made.
    pub after: Side,
}

impl Side {
    /// How many replicas each member holds.
    pub fn loads(&self) -> Vec<usize> {
        let mut loads = vec![0; self.members.len()];
        for &member in self.rows.iter().flatten() {
            loads[usize::from(member)] += 1;
        }
        loads
    }

    /// The numbers of those that hold a partition.
    pub fn holders(&self, partition: usize) -> impl Iterator<Item = u32> + '_ {
        self.rows[partition].iter().map(|&i| self.members[usize::from(i)])
    }
}

impl Case {
    /// The replicas that have to be copied.
    pub fn moved(&self) -> usize {
        let gained = |p: usize| {
            let held: Vec<u32> = self.before.holders(p).collect();
            self.after.holders(p).filter(|member| !held.contains(member)).count()
        };
        (0..self.after.rows.len()).map(gained).sum()
    }

    /// By how many members the cluster grew.
    pub fn step(&self) -> i64 {
        let count = |side: &Side| i64::try_from(side.members.len()).unwrap_or(i64::MAX);
        count(&self.after) - count(&self.before)
    }
}
