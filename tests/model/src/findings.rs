//! Which rule, left out, is missed in which scenario, and what does not hold then; and which two rules stand in for each
//! other.

use crate::mutation::Mutation;
use crate::property::{EPOCHS, GONE, LET_GO, SEEN};

/// A rule that is needed.
#[derive(Debug, Clone, Copy)]
pub struct Finding {
    /// The rule that is left out.
    pub mutation: Mutation,
    /// The scenario in which that is found.
    pub scenario: &'static str,
    /// What does not hold then.
    pub property: &'static str,
}

const fn found(mutation: Mutation, scenario: &'static str, property: &'static str) -> Finding {
    Finding { mutation, scenario, property }
}

/// Every rule is missed somewhere.
pub const FINDINGS: [Finding; 12] = [
    found(Mutation::OneQuorum, "slow write", SEEN),
    found(Mutation::NoFreeze, "replaced target", SEEN),
    found(Mutation::NoSwitch, "slow write", SEEN),
    found(Mutation::CompareOne, "slow write", SEEN),
    found(Mutation::DropAtSwitch, "grow", LET_GO),
    found(Mutation::DropUnshown, "grow", LET_GO),
    found(Mutation::LeftoversKept, "back again", GONE),
    found(Mutation::AnyReport, "change of mind", SEEN),
    found(Mutation::NoFenceNoWait, "slow write", SEEN),
    // What waiting does not reach: a coordinator that only an abandoned target names.
    found(Mutation::NoFence, "outsider", SEEN),
    // What our fence lets pass: it serves what is one step older, so that a step refuses no request that is under way.
    found(Mutation::NoWait, "slow write", SEEN),
    found(Mutation::NoCompare, "two operators", EPOCHS),
];

/// Where fencing and waiting for older requests stand in for each other: with either alone nothing is found. Waiting
/// alone suffices while everybody who coordinates is a member of S or T, since every member then waits. Fencing alone suffices if it serves nothing older at all.
pub const ALONE: [(Mutation, &str); 7] = [
    (Mutation::NoFence, "slow write"),
    (Mutation::NoFence, "grow"),
    (Mutation::NoFence, "shrink"),
    (Mutation::NoFence, "crashes"),
    (Mutation::ExactFenceNoWait, "slow write"),
    (Mutation::ExactFenceNoWait, "grow"),
    (Mutation::ExactFenceNoWait, "outsider"),
];
