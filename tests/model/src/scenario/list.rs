//! The scenarios, and wider ones of the same kinds.

use super::{Given, Members, Scenario};

const fn strict(on: Members) -> Given {
    Given { on, strict: true, hint: None }
}

/// A write with w = 1: it has to be there at the end, but a strict read before may miss it.
const fn small(on: Members) -> Given {
    Given { on, strict: false, hint: None }
}

/// Three members, the first of everything; nothing may happen yet.
const QUIET: Scenario = Scenario {
    name: "",
    about: "",
    quorum: (3, 2, 2),
    stable: 0b0111,
    targets: &[0b1111],
    proposals: 1,
    // Member 2 gives the partition to member 3.
    partition: |rows| rows[1] == 0b1011,
    given: &[],
    writes: 0,
    writers: 0,
    late: false,
    crashes: 0,
    losses: 0,
    reaps: false,
    stale_operator: false,
};

const GROW: Scenario = Scenario {
    name: "grow",
    about: "3 -> 4 members: one write made before, one with w = 1 on the holder that leaves, one while it goes on",
    given: &[strict(0b0110), small(0b0100)],
    writes: 1,
    writers: 0b0011,
    late: true,
    ..QUIET
};

const SHRINK: Scenario = Scenario {
    name: "shrink",
    about: "4 -> 3 members: who leaves holds the partition, and has a write that nobody else has",
    stable: 0b1111,
    targets: &[0b0111],
    partition: |rows| rows[0] == 0b1110,
    given: &[strict(0b1100), small(0b1000)],
    writes: 1,
    writers: 0b1110,
    late: true,
    ..QUIET
};

const MIND: Scenario = Scenario {
    name: "change of mind",
    about: "a target, its abort, the target again, by several operators that act on old views and miss answers",
    targets: &[0b1111, 0b0111],
    proposals: 3,
    given: &[strict(0b0110)],
    stale_operator: true,
    ..QUIET
};

const REPLACED: Scenario = Scenario {
    name: "replaced target",
    about: "a target is replaced by one with another member while a write runs",
    targets: &[0b0_1111, 0b1_0111],
    proposals: 2,
    partition: |rows| rows[1] == 0b0_1011 && rows[2] == 0b1_0011,
    writes: 1,
    writers: 0b0_0010,
    ..QUIET
};

const OPERATORS: Scenario = Scenario {
    name: "two operators",
    about: "each wants another target, acts on old views and misses answers",
    given: &[strict(0b0110)],
    writes: 0,
    stale_operator: true,
    ..REPLACED
};

const OUTSIDER: Scenario = Scenario {
    name: "outsider",
    about: "the same, and the write's coordinator is named by the abandoned target alone",
    writers: 0b0_1000,
    ..REPLACED
};

const SLOW: Scenario = Scenario {
    name: "slow write",
    about: "3 -> 4 members, and one write that may take as long as it likes",
    writes: 1,
    writers: 0b0010,
    ..QUIET
};

const BACK: Scenario = Scenario {
    name: "back again",
    about: "a target is abandoned, a value deleted and reaped, the target is proposed again",
    targets: &[0b1111, 0b0111],
    proposals: 3,
    given: &[strict(0b0111)],
    reaps: true,
    ..QUIET
};

const CRASH: Scenario = Scenario {
    name: "crashes",
    about: "3 -> 4 members, a write, and processes that end without what was not synced",
    given: &[strict(0b0110)],
    writes: 1,
    writers: 0b0010,
    crashes: 1,
    ..QUIET
};

const LOST: Scenario = Scenario {
    name: "lost member",
    about: "a member is declared lost at any point of a change, and goes on as if it knew nothing of it",
    targets: &[0b1111, 0b1011],
    proposals: 2,
    given: &[strict(0b0110)],
    writes: 1,
    writers: 0b0010,
    losses: 0b0100,
    ..QUIET
};

const HINT: Scenario = Scenario {
    name: "late hint",
    about: "4 -> 5 members: a hint for the holder that gives the partition away comes at any time",
    stable: 0b0_1111,
    targets: &[0b1_1111],
    // Member 1 gives the partition to member 4; member 0 keeps a hint for member 1.
    partition: |rows| rows[0] == 0b0_1110 && rows[1] == 0b1_1100,
    given: &[Given { on: 0b0_0100, strict: false, hint: Some((0, 1)) }],
    ..QUIET
};

const LEAVER: Scenario = Scenario {
    name: "leaver with a hint",
    about: "4 -> 3 members: who leaves has a hint for a holder, and hands it over",
    stable: 0b1111,
    targets: &[0b0111],
    partition: |rows| rows[0] == 0b0111,
    given: &[Given { on: 0b0001, strict: false, hint: Some((3, 2)) }],
    ..QUIET
};

const TWO_WRITES: Scenario = Scenario {
    name: "two writes",
    about: "3 -> 4 members, and two writes that go on meanwhile, one of them late",
    writes: 2,
    late: true,
    given: &[],
    writers: 0b0010,
    ..GROW
};

const CRASHES_TWICE: Scenario = Scenario {
    name: "two crashes",
    about: "as `crashes`, with two of them, and copies that arrive when the write has ended",
    crashes: 2,
    late: true,
    ..CRASH
};

const LOST_AND_CRASH: Scenario = Scenario {
    name: "lost and crashed",
    about: "as `lost member`, and a process ends without what was not synced",
    crashes: 1,
    ..LOST
};

const MIND_AND_WRITE: Scenario = Scenario {
    name: "change of mind while writing",
    about: "as `change of mind`, and a write goes on meanwhile",
    proposals: 2,
    writes: 1,
    writers: 0b0010,
    ..MIND
};

const REPLACED_AND_CRASH: Scenario = Scenario {
    name: "replaced and crashed",
    about: "as `replaced target`, and a process ends without what was not synced",
    crashes: 1,
    ..REPLACED
};

const SCENARIOS: [Scenario; 15] = [
    GROW,
    SHRINK,
    SLOW,
    CRASH,
    CRASHES_TWICE,
    TWO_WRITES,
    LOST,
    HINT,
    LEAVER,
    MIND,
    MIND_AND_WRITE,
    OPERATORS,
    REPLACED,
    OUTSIDER,
    BACK,
];

const WIDE: [Scenario; 2] = [REPLACED_AND_CRASH, LOST_AND_CRASH];

/// Every scenario of the tests; with `wide` those that take longer as well.
pub fn all(wide: bool) -> Vec<Scenario> {
    let wider: &[Scenario] = if wide { &WIDE } else { &[] };
    SCENARIOS.iter().chain(wider).copied().collect()
}

/// The scenario of this name.
pub fn named(name: &str) -> Option<Scenario> {
    SCENARIOS.iter().chain(&WIDE).find(|scenario| scenario.name == name).copied()
}
