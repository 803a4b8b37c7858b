//! From which holder a partition is pulled: the least busy one, by what each said of itself and by what this node has
//! running there; and when to leave one for another. Pure: the caller brings the time.

use std::collections::BTreeMap;
use std::time::Duration;

use dynamo_ring::NodeId;

/// What a holder said of itself longer ago than this counts no more.
const FRESH: Duration = Duration::from_secs(10);
/// A batch below this says little of a holder's speed: most of its time is a round trip.
const TELLING: u64 = 64 << 10;
/// A holder is left for one that is faster by more than this.
const FASTER: f64 = 8.0;
/// How long to wait for a batch when another holder could be asked. A holder's longest rest is 2 s.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long if there is none.
pub const SILENCE: Duration = Duration::from_secs(10);

/// How busy a holder says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Pulls that it was answering, this node's among them.
    pub pulls: u32,
    /// What its clients' requests leave to the background, in 256ths of the time.
    pub share: u32,
}

/// What is known of one holder.
#[derive(Debug, Clone, Copy, Default)]
struct Holder {
    /// Pulls of this node that run there.
    ours: u32,
    /// Pulls of others there, its share, and when it said so.
    told: Option<(u32, u32, Duration)>,
    /// Bytes a second, of the batches of late, and when the last of them came.
    speed: Option<(f64, Duration)>,
    /// When it last failed at a pull, or was too slow.
    failed: Option<Duration>,
}

/// What it costs to have failed lately: more than any load.
const FAILED: u64 = 1 << 48;

/// What is known of all holders.
#[derive(Debug, Clone, Default)]
pub struct Holders(BTreeMap<NodeId, Holder>);

impl Holders {
    /// A pull from this holder begins.
    pub fn begun(&mut self, node: NodeId) {
        self.0.entry(node).or_default().ours += 1;
    }

    /// A pull from it has ended, one way or the other.
    pub fn ended(&mut self, node: NodeId) {
        let holder = self.0.entry(node).or_default();
        holder.ours = holder.ours.saturating_sub(1);
    }

    /// A pull from it has failed, or it was too slow.
    pub fn failed(&mut self, node: NodeId, now: Duration) {
        self.0.entry(node).or_default().failed = Some(now);
    }

    /// A batch came: so many bytes, so long after it was asked for.
    pub fn answered(&mut self, node: NodeId, bytes: u64, took: Duration, told: Option<Told>, now: Duration) {
        let holder = self.0.entry(node).or_default();
        if let Some(Told { pulls, share }) = told {
            holder.told = Some((pulls.saturating_sub(holder.ours), share.clamp(1, 256), now));
        }
        if bytes >= TELLING {
            #[allow(clippy::cast_precision_loss, reason = "a speed is compared by eighths")]
            let speed = bytes as f64 / took.as_secs_f64().max(1e-6);
            let before = holder.speed.filter(|(_, at)| now.saturating_sub(*at) < FRESH);
            holder.speed = Some((before.map_or(speed, |(before, _)| (before * 3.0 + speed) / 4.0), now));
        }
    }

    /// What one more pull from this holder would meet there; the least is the best. One that nothing is known of is taken
    /// for idle: so it is asked, and tells.
    pub fn cost(&self, node: &NodeId, now: Duration) -> u64 {
        let holder = self.0.get(node).copied().unwrap_or_default();
        let told = holder.told.filter(|(.., at)| now.saturating_sub(*at) < FRESH);
        let (others, share) = told.map_or((0, 256), |(others, share, _)| (others, share));
        let load = (u64::from(holder.ours) + u64::from(others) + 1) * 256 * 256 / u64::from(share);
        let failed = holder.failed.is_some_and(|at| now.saturating_sub(at) < FRESH);
        if failed { FAILED + load } else { load }
    }

    /// Whether one of the others is so much faster that a pull should go on there.
    pub fn is_slow(&self, node: &NodeId, others: &[NodeId], now: Duration) -> bool {
        let speed = |node: &NodeId| {
            let (speed, at) = self.0.get(node)?.speed?;
            (now.saturating_sub(at) < FRESH).then_some(speed)
        };
        let Some(this) = speed(node) else { return false };
        others.iter().filter_map(speed).any(|other| other > this * FASTER)
    }
}

/// How long to wait for a batch.
pub const fn patience(others: &[NodeId]) -> Duration {
    if others.is_empty() { SILENCE } else { PATIENCE }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn node(i: u8) -> NodeId {
        NodeId([i; 16])
    }

    /// Which of the first three is the best, as a copy would choose.
    fn best(holders: &Holders, now: Duration) -> NodeId {
        [1, 2, 3].map(node).into_iter().min_by_key(|node| holders.cost(node, now)).unwrap()
    }

    #[test]
    fn pulls_are_spread_over_all_holders() {
        let mut holders = Holders::default();
        let mut begun = BTreeMap::<NodeId, u32>::new();
        for _ in 0..9 {
            let chosen = best(&holders, NOW);
            holders.begun(chosen);
            *begun.entry(chosen).or_default() += 1;
        }
        assert_eq!(begun, [1, 2, 3].map(|i| (node(i), 3)).into());
        holders.ended(node(2));
        assert_eq!(best(&holders, NOW), node(2));
    }

    #[test]
    fn who_is_busy_with_others_or_with_clients_is_asked_last_while_that_is_fresh() {
        let mut holders = Holders::default();
        let (quick, told) = (Duration::from_millis(5), |pulls, share| Some(Told { pulls, share }));
        holders.answered(node(1), 1 << 18, quick, told(5, 256), NOW);
        holders.answered(node(2), 1 << 18, quick, told(1, 16), NOW);
        holders.answered(node(3), 1 << 18, quick, told(1, 256), NOW);
        assert_eq!(best(&holders, NOW), node(3));
        let costs = [1, 2, 3].map(|i| holders.cost(&node(i), NOW) / 256);
        assert_eq!(costs, [6, 32, 2], "pulls of others and one more, over the share");
        holders.answered(node(3), 1 << 18, quick, told(1, 1), NOW);
        assert_eq!(best(&holders, NOW), node(1));
        assert_eq!(best(&holders, NOW + FRESH), node(1), "all that was said is old: the first");
        assert_eq!(holders.cost(&node(3), NOW + FRESH), 256);
        holders.answered(node(2), 0, quick, told(0, 0), NOW);
        assert!(holders.cost(&node(2), NOW) > 0, "a share that cannot be is taken for the least");
    }

    #[test]
    fn who_has_failed_is_asked_last_for_a_while() {
        let mut holders = Holders::default();
        holders.failed(node(1), NOW);
        holders.failed(node(2), NOW);
        (0..100).for_each(|_| holders.begun(node(3)));
        assert_eq!(best(&holders, NOW), node(3), "however busy it is");
        holders.failed(node(3), NOW);
        assert_eq!(best(&holders, NOW), node(1), "if all have failed, the least busy");
        assert_eq!(best(&holders, NOW + FRESH), node(1));
    }

    #[test]
    fn this_nodes_own_pulls_are_not_counted_twice() {
        let mut holders = Holders::default();
        holders.begun(node(1));
        holders.begun(node(1));
        holders.answered(node(1), 1, Duration::ZERO, Some(Told { pulls: 2, share: 256 }), NOW);
        assert_eq!(holders.cost(&node(1), NOW), 3 * 256, "two of this node, and one more");
    }

    #[test]
    fn a_holder_is_left_only_for_one_that_is_known_to_be_much_faster() {
        let mut holders = Holders::default();
        let batch = 256 << 10;
        holders.answered(node(1), batch, Duration::from_millis(900), None, NOW);
        assert!(!holders.is_slow(&node(1), &[node(2)], NOW), "of the other nothing is known");
        holders.answered(node(2), batch, Duration::from_millis(200), None, NOW);
        assert!(!holders.is_slow(&node(1), &[node(2)], NOW), "not by so much");
        for _ in 0..20 {
            holders.answered(node(2), batch, Duration::from_millis(10), None, NOW);
        }
        assert!(holders.is_slow(&node(1), &[node(3), node(2)], NOW));
        assert!(!holders.is_slow(&node(1), &[], NOW) && !holders.is_slow(&node(2), &[node(1)], NOW));
        assert!(!holders.is_slow(&node(1), &[node(2)], NOW + FRESH), "that was long ago");
        // The last batch of a partition may be a few bytes, and says nothing.
        holders.answered(node(2), 100, Duration::from_secs(3), None, NOW);
        assert!(holders.is_slow(&node(1), &[node(2)], NOW));
    }

    #[test]
    fn there_is_less_patience_where_another_could_be_asked() {
        assert!(patience(&[node(1)]) < patience(&[]));
    }
}
