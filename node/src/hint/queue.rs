//! Whose hints to look at next, from where on, and how long to wait after a failure. Pure: the caller brings the time.
//!
//! One line for each member that is owed something. A *pass* goes through the line from the oldest hint to the newest,
//! batch by batch, and does with each what can be done; then it rests. It begins anew at once when the member comes back
//! or the layout changes. Members that are down have their passes too, though rarer: what they no longer hold is owed to
//! others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dynamo_ring::NodeId;
use dynamo_ring::fence::SenderStamp;

use crate::store::HintKey;

/// Rest after a pass that left hints behind, and the first rest after a failure.
pub const AGAIN: Duration = Duration::from_secs(1);
/// The longest rest after failures.
pub const REST: Duration = Duration::from_mins(1);
/// Rest after a pass for a member that is down. Whatever changes what can be done begins a pass anyway; this is for a
/// hint that was made under a layout that had just passed.
pub const DOWN: Duration = Duration::from_mins(10);
/// The same at a node that is to be rid of its hints, and waits for members that can take them.
pub const LEAVING: Duration = Duration::from_secs(5);

/// What the aims of all hints depend on, but for who is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The layout and step.
    pub stamp: SenderStamp,
    /// This node is to be rid of its hints.
    pub leaving: bool,
}

/// A batch to look at now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Who is owed it.
    pub target: NodeId,
    /// The hints after this one.
    pub after: Option<HintKey>,
    /// One hint only: a batch was refused, and one bad hint must not hold up the others.
    pub alone: bool,
}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything up to this hint was done, or has to stay for now.
    Went(HintKey),
    /// There are no more hints: the pass is over.
    End,
    /// The member could not be asked, or cannot take anything now.
    Failed,
    /// The layout passed meanwhile.
    Passed,
    /// The member does not take what is in this batch, which ends at this hint.
    Refused(HintKey),
}

/// The lines of all members that are owed something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    rules: Option<Rules>,
    lines: BTreeMap<NodeId, Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    after: Option<HintKey>,
    alone: bool,
    up: bool,
    failures: u32,
    due: Duration,
}

impl Queue {
    /// The batches that are due at `now`, a time since some fixed moment; one for each member at most. Tell what came of
    /// each with [`Queue::done`] before asking again.
    pub fn due(
        &mut self,
        now: Duration,
        rules: Rules,
        owed: &BTreeSet<NodeId>,
        up: impl Fn(NodeId) -> bool,
    ) -> Vec<Batch> {
        let new_rules = self.rules.replace(rules) != Some(rules);
        self.lines.retain(|target, _| owed.contains(target));
        for target in owed {
            let is_up = up(*target);
            let line = self.lines.entry(*target).or_insert_with(|| Line::begin(is_up, now));
            if new_rules || (is_up && !line.up) {
                *line = Line::begin(is_up, now);
            }
            line.up = is_up;
        }
        let due = self.lines.iter().filter(|(_, line)| line.due <= now);
        due.map(|(target, line)| Batch { target: *target, after: line.after.clone(), alone: line.alone })
            .collect()
    }

    /// How long nothing will be due, unless a member comes back, the layout changes or a hint is made.
    pub fn rest(&self, now: Duration) -> Duration {
        self.lines.values().map(|line| line.due.saturating_sub(now)).min().unwrap_or(REST)
    }

    /// A batch for `target` came out like this.
    pub fn done(&mut self, target: NodeId, outcome: Outcome, now: Duration) {
        let leaving = self.rules.is_some_and(|rules| rules.leaving);
        let Some(line) = self.lines.get_mut(&target) else { return };
        match outcome {
            Outcome::Went(last) => {
                line.after = Some(last);
                line.failures = 0;
                line.due = now;
            }
            Outcome::End => {
                let rest = match (line.up, leaving) {
                    (true, _) => AGAIN,
                    (false, true) => LEAVING,
                    (false, false) => DOWN,
                };
                *line = Line { due: now + rest, ..Line::begin(line.up, now) };
            }
            Outcome::Failed => {
                let doublings = line.failures.min(16);
                line.failures = line.failures.saturating_add(1);
                line.due = now + (AGAIN * (1 << doublings)).min(REST);
            }
            Outcome::Passed => line.due = now + AGAIN,
            Outcome::Refused(last) if line.alone => {
                // Found it: those after it go together again.
                line.after = Some(last);
                line.alone = false;
                line.due = now + AGAIN;
            }
            Outcome::Refused(_) => {
                line.alone = true;
                line.due = now;
            }
        }
    }
}

impl Line {
    const fn begin(up: bool, now: Duration) -> Self {
        Self { after: None, alone: false, up, failures: 0, due: now }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
