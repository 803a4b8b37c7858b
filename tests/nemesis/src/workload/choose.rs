//! What a client does next: drawn from the seed alone. Pure.

use std::time::Duration;

use dynamo_checker::Terms;
use dynamo_ring::Quorum;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A read.
    Get,
    /// A put.
    Put,
    /// A delete.
    Delete,
}

/// How it reaches a coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// By the client library, with its routing and its retries.
    Library,
    /// Straight to members, one after another with the same write id until one answers. The first may be asked twice at
    /// one time.
    Members {
        /// Whom.
        members: Vec<usize>,
        /// The first is asked a second time beside.
        doubled: bool,
    },
}

/// A request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// To wait before.
    pub pause: Duration,
    /// Which key.
    pub key: u32,
    /// What.
    pub what: What,
    /// What is to be promised with it.
    pub terms: Terms,
    /// Its own r or w; the cluster's if absent.
    pub own: Option<u32>,
    /// By which way.
    pub way: Way,
    /// A write that carries no context though one is known.
    pub blind: bool,
    /// The context of the answer replaces the one that is remembered.
    pub remember: bool,
}

/// The choices of one client.
#[derive(Debug)]
pub struct Choices {
    rng: StdRng,
    keys: u32,
    members: usize,
    quorum: Quorum,
}

impl Choices {
    /// Of client `client` under a seed.
    pub fn new(seed: u64, client: u64, keys: u32, members: usize, quorum: Quorum) -> Self {
        let rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(client));
        Self { rng, keys, members, quorum }
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_range(0..n) == 0
    }

    /// The next request.
    pub fn step(&mut self) -> Step {
        let pause = Duration::from_micros(self.rng.random_range(500..40_000));
        let key = self.rng.random_range(0..self.keys);
        let what = match self.rng.random_range(0..10) {
            0..=4 => What::Get,
            5..=7 => What::Put,
            _ => What::Delete,
        };
        let of_the_cluster = u32::from(if what == What::Get { self.quorum.r } else { self.quorum.w });
        let own = self.one_in(3).then(|| self.rng.random_range(1..=u32::from(self.quorum.n)));
        let strict = self.one_in(2);
        let partial = what == What::Get && self.one_in(6);
        let terms = Terms { strict, quorum: own.unwrap_or(of_the_cluster), partial };
        let way = if self.one_in(2) { Way::Library } else { self.members(what) };
        let (blind, remember) = (self.one_in(5), !self.one_in(6));
        Step { pause, key, what, terms, own, way, blind, remember }
    }

    fn members(&mut self, what: What) -> Way {
        let attempts = if what == What::Get { 1 } else { self.rng.random_range(1..=3) };
        let members = (0..attempts).map(|_| self.rng.random_range(0..self.members)).collect();
        Way::Members { members, doubled: what != What::Get && self.one_in(15) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUORUM: Quorum = Quorum { n: 3, r: 2, w: 2 };

    fn steps(seed: u64, client: u64) -> Vec<Step> {
        let mut choices = Choices::new(seed, client, 8, 5, QUORUM);
        (0..2_000).map(|_| choices.step()).collect()
    }

    #[test]
    fn a_seed_and_a_client_name_one_sequence() {
        assert_eq!(steps(1, 2), steps(1, 2));
        assert_ne!(steps(1, 2), steps(1, 3));
        assert_ne!(steps(1, 2), steps(2, 2));
    }

    #[test]
    fn every_kind_of_request_is_among_them_and_nothing_else() {
        let steps = steps(7, 0);
        let some = |is: fn(&Step) -> bool| steps.iter().any(is);
        assert!(
            some(|s| s.terms.strict && s.what == What::Put)
                && some(|s| !s.terms.strict && s.what == What::Put)
        );
        assert!(some(|s| s.what == What::Delete && !s.blind) && some(|s| s.what == What::Delete && s.blind));
        assert!(some(|s| s.terms.partial) && steps.iter().all(|s| !s.terms.partial || s.what == What::Get));
        for own in [None, Some(1), Some(2), Some(3)] {
            assert!(steps.iter().any(|s| s.own == own), "{own:?}");
        }
        assert!(some(|s| matches!(&s.way, Way::Members { members, .. } if members.len() == 3)));
        assert!(some(|s| matches!(s.way, Way::Members { doubled: true, .. })));
        assert!(some(|s| s.way == Way::Library) && some(|s| !s.remember));
        assert!(steps.iter().all(|s| s.key < 8 && (1..=3).contains(&s.terms.quorum)));
    }
}
