//! Which faults come when: drawn from the seed alone. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// kill -9 of one.
    Kill,
    /// kill -9 of all at once.
    KillAll,
    /// One is halted by SIGSTOP, and goes on.
    Halt,
    /// One is stopped in good order.
    Stop,
    /// What one sends to another does not arrive.
    CutOneWay,
    /// Two do not reach each other.
    CutBothWays,
    /// One reaches no other, nor the others it.
    Isolate,
    /// One's disk is full.
    FullDisk,
    /// One's disk stands still, again and again.
    SlowDisk,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Kill,
        Self::KillAll,
        Self::Halt,
        Self::Stop,
        Self::CutOneWay,
        Self::CutBothWays,
        Self::Isolate,
        Self::FullDisk,
        Self::SlowDisk,
    ];

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::KillAll => "kill -9 of all",
            Self::Halt => "SIGSTOP",
            Self::Stop => "clean stop",
            Self::CutOneWay => "one-way cut",
            Self::CutBothWays => "two-way cut",
            Self::Isolate => "isolated member",
            Self::FullDisk => "full disk",
            Self::SlowDisk => "slow disk",
        }
    }

    /// It needs a network of its own for each node.
    pub const fn needs_network(self) -> bool {
        matches!(self, Self::CutOneWay | Self::CutBothWays | Self::Isolate)
    }

    /// It needs a disk of its own for each node.
    pub const fn needs_disk(self) -> bool {
        matches!(self, Self::FullDisk | Self::SlowDisk)
    }

    /// It takes a process away, or all of them.
    const fn takes(self) -> bool {
        matches!(self, Self::Kill | Self::KillAll | Self::Halt | Self::Stop)
    }
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    /// After the beginning of the round.
    pub at: Duration,
    /// What.
    pub kind: Kind,
    /// At which node.
    pub node: u16,
    /// The other one of a cut.
    pub other: u16,
    /// For how long.
    pub lasting: Duration,
}

/// The faults of a round among `nodes` (2 at least): each of `kinds` at least once, in an order of the seed's, one about
/// every 1.2 s, so that some overlap. A node is not struck while it is down.
pub fn plan(seed: u64, kinds: &[Kind], nodes: u16, long: Duration) -> Vec<Strike> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut strikes: Vec<Strike> = Vec::new();
    let mut free_from: BTreeMap<u16, Duration> = BTreeMap::new();
    let mut deck: Vec<Kind> = Vec::new();
    let mut at = Duration::from_millis(500);
    let least = kinds.len();
    while !kinds.is_empty() && (at < long || strikes.len() < least) {
        if deck.is_empty() {
            deck = kinds.to_vec();
            deck.shuffle(&mut rng);
        }
        let Some(kind) = deck.pop() else { break };
        let lasting = Duration::from_millis(rng.random_range(500..3_500));
        let until = at + lasting;
        let is_free = |node: &u16| free_from.get(node).is_none_or(|from| *from <= at);
        let free: Vec<u16> = (0..nodes).filter(is_free).collect();
        let all_free = free.len() == usize::from(nodes);
        let node = match free.len() {
            0 => 0,
            some => free[rng.random_range(0..some)],
        };
        let struck = if kind == Kind::KillAll { all_free } else { free.contains(&node) };
        if kind.takes() && !struck {
            // Its turn comes when someone is up.
            deck.push(kind);
            at += Duration::from_millis(300);
            continue;
        }
        if kind == Kind::KillAll {
            free_from.extend((0..nodes).map(|node| (node, until)));
        } else if kind.takes() {
            free_from.insert(node, until);
        }
        let other = (node + rng.random_range(1..nodes.max(2))) % nodes.max(1);
        strikes.push(Strike { at, kind, node, other, lasting });
        at += Duration::from_millis(rng.random_range(600..1_800));
    }
    strikes
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(15);

    #[test]
    fn a_seed_names_one_plan() {
        assert_eq!(plan(1, &Kind::ALL, 5, LONG), plan(1, &Kind::ALL, 5, LONG));
        assert_ne!(plan(1, &Kind::ALL, 5, LONG), plan(2, &Kind::ALL, 5, LONG));
        assert_eq!(plan(1, &[], 5, LONG), []);
    }

    #[test]
    fn every_kind_comes_in_every_round_and_nobody_is_struck_who_is_down() {
        for seed in 0..200 {
            let strikes = plan(seed, &Kind::ALL, 5, LONG);
            for kind in Kind::ALL {
                assert!(strikes.iter().any(|s| s.kind == kind), "seed {seed}: no {kind:?}");
            }
            let taken: Vec<_> = strikes.iter().filter(|s| s.kind.takes()).collect();
            for (n, later) in taken.iter().enumerate() {
                for earlier in &taken[..n] {
                    let same = earlier.node == later.node
                        || earlier.kind == Kind::KillAll
                        || later.kind == Kind::KillAll;
                    assert!(!same || earlier.at + earlier.lasting <= later.at, "seed {seed}: {later:?}");
                }
            }
            assert!(strikes.iter().all(|s| s.node != s.other && s.node < 5 && s.other < 5));
        }
    }

    #[test]
    fn some_faults_overlap() {
        let strikes = plan(3, &Kind::ALL, 5, LONG);
        assert!(strikes.windows(2).any(|pair| pair[0].at + pair[0].lasting > pair[1].at));
    }
}
