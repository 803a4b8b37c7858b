//! Who takes part, what may happen, and how often. Several small worlds find more than a large one that is never explored
//! to its end.

mod list;

pub use self::list::{all, named};

/// A set of members: bit i is member i.
pub type Members = u8;
/// The most members that a scenario may have.
pub const MOST: usize = 5;

/// A write that was acknowledged before the scenario begins.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    /// Who has it on disk.
    pub on: Members,
    /// It was a strict write: every strict read has to see it. Otherwise it has to be there at the end.
    pub strict: bool,
    /// Who keeps it for whom, as a hint.
    pub hint: Option<(u8, u8)>,
}

/// One small world.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// N, R and W.
    pub quorum: (u8, u8, u8),
    /// Who makes the first layout.
    pub stable: Members,
    /// Whom a target may consist of.
    pub targets: &'static [Members],
    /// How many targets may be proposed.
    pub proposals: u8,
    /// Which partition is looked at: the first one whose holders, in the first layout and in each target made from it,
    /// satisfy this.
    pub partition: fn(&[Members]) -> bool,
    /// What was written before.
    pub given: &'static [Given],
    /// How many writes clients begin.
    pub writes: u8,
    /// Who may coordinate them.
    pub writers: Members,
    /// Copies of a write may arrive after the write has ended.
    pub late: bool,
    /// How many times a process may end and start again without what was not synced.
    pub crashes: u8,
    /// Who may be declared lost, at most one of them. It goes on as if it knew nothing of that.
    pub losses: Members,
    /// Deletes: what was given may be deleted and reaped while no change is under way.
    pub reaps: bool,
    /// Operators act on old views too, and ask in rounds in which some member gives no answer.
    pub stale_operator: bool,
}

impl Scenario {
    /// How many members there are.
    pub fn members(&self) -> u8 {
        let all = self.targets.iter().fold(self.stable, |all, target| all | target);
        u8::try_from(u8::BITS - all.leading_zeros()).unwrap_or(u8::MAX)
    }
}
