//! Rules of the protocol that can be left out. A mutation is a switch of the model, or in the way in which the model asks
//! `ring`; nothing in `ring` knows of it.

use std::fmt;

/// The rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// None: the protocol as it is.
    None,
    /// A write meets its quorum in the stable layout alone.
    OneQuorum,
    /// Nobody promises: the step is skipped, and until the commit a target may be replaced by another.
    NoFreeze,
    /// The commit follows the freeze at once.
    NoSwitch,
    /// A new holder compares with one holder of the stable layout, whichever.
    CompareOne,
    /// An old holder drops when reads go to the target.
    DropAtSwitch,
    /// An old holder drops without handing over.
    DropUnshown,
    /// What was copied for an abandoned target is not dropped.
    LeftoversKept,
    /// A report of having synced is taken whatever target it is about.
    AnyReport,
    /// A member serves requests of any layout and step, and of anybody.
    NoFence,
    /// A member acknowledges a step while requests that it began before still run.
    NoWait,
    /// Both.
    NoFenceNoWait,
    /// No waiting, but members serve nothing that is older than what they go by, not even by one step and not even what
    /// they have begun themselves.
    ExactFenceNoWait,
    /// An operator writes the register whatever stands there by now.
    NoCompare,
}

impl Mutation {
    /// All but the protocol as it is.
    pub const ALL: [Self; 13] = [
        Self::OneQuorum,
        Self::NoFreeze,
        Self::NoSwitch,
        Self::CompareOne,
        Self::DropAtSwitch,
        Self::DropUnshown,
        Self::LeftoversKept,
        Self::AnyReport,
        Self::NoFence,
        Self::NoWait,
        Self::NoFenceNoWait,
        Self::ExactFenceNoWait,
        Self::NoCompare,
    ];

    /// Whether members look at the stamp and the name of who asks.
    pub const fn fences(self) -> bool {
        !matches!(self, Self::NoFence | Self::NoFenceNoWait)
    }

    /// Whether an acknowledgement waits for older requests.
    pub const fn waits(self) -> bool {
        !matches!(self, Self::NoWait | Self::NoFenceNoWait | Self::ExactFenceNoWait)
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "the protocol as it is",
            Self::OneQuorum => "write quorum in one layout only",
            Self::NoFreeze => "no freeze",
            Self::NoSwitch => "no switch before the commit",
            Self::CompareOne => "the new holder compares with one old holder only",
            Self::DropAtSwitch => "old holders drop at the switch",
            Self::DropUnshown => "drop without handing over",
            Self::LeftoversKept => "leftovers of an abandoned target kept",
            Self::AnyReport => "a sync report of another target taken",
            Self::NoFence => "no fencing",
            Self::NoWait => "no waiting for older requests",
            Self::NoFenceNoWait => "neither fencing nor waiting for older requests",
            Self::ExactFenceNoWait => "no waiting, but a fence that serves nothing older",
            Self::NoCompare => "the register is written without comparing",
        })
    }
}
