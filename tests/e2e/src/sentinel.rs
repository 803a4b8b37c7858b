//! Watches what disappears: no pod and no volume claim that a layout ever named may go before its member has retired
//! or stands in the layout record as lost (docs/operator.md, "Proof").
//!
//! The judgement is a pure fold over observed events; the watch that feeds it is in [`crate::watch`].

use std::collections::{BTreeMap, BTreeSet};

use dynamo_ring::record::Fate;

/// What was seen, in the order in which it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The layout record as it now stands.
    Layout {
        /// Members by name; `Active` if any node id of that name is.
        named: BTreeMap<String, Fate>,
        /// Partitions whose replicas share a zone though there are enough of them, in words.
        crowded: Vec<String>,
    },
    /// The StatefulSet wants this many pods.
    Replicas(i32),
    /// A volume claim of this member began to be deleted.
    ClaimDeleted(String),
}

/// Folds events into violations of the rule.
#[derive(Debug, Default)]
pub struct Sentinel {
    named: BTreeMap<String, Fate>,
    replicas: Option<i32>,
    violations: Vec<String>,
    taken_away: BTreeSet<String>,
}

impl Sentinel {
    /// One that does not mind if the volume claims of these members are deleted: a person takes them away.
    pub fn without(taken_away: BTreeSet<String>) -> Self {
        Self { taken_away, ..Self::default() }
    }

    /// Takes the next event.
    pub fn see(&mut self, event: Seen) {
        match event {
            Seen::Layout { named, crowded } => {
                self.named = named;
                self.violations.extend(crowded);
            }
            Seen::Replicas(now) => {
                for (name, ordinal) in self.active() {
                    if self.replicas.is_some_and(|before| now < before) && ordinal >= i64::from(now) {
                        self.violations.push(format!(
                            "the StatefulSet was lowered to {now} while {name} was named by a layout and had not retired"
                        ));
                    }
                }
                self.replicas = Some(now);
            }
            Seen::ClaimDeleted(member) => {
                let proven = self.named.get(&member) != Some(&Fate::Active);
                if !proven && !self.taken_away.contains(&member) {
                    self.violations
                        .push(format!("the volume claim of {member} was deleted before its proof"));
                }
            }
        }
    }

    /// What went against the rule so far.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    fn active(&self) -> Vec<(String, i64)> {
        let ordinal = |name: &str| name.rsplit('-').next().and_then(|n| n.parse().ok());
        let active = self.named.iter().filter(|(_, fate)| **fate == Fate::Active);
        active.filter_map(|(name, _)| Some((name.clone(), ordinal(name)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(members: &[(&str, Fate)]) -> Seen {
        let named = members.iter().map(|(name, fate)| ((*name).to_owned(), *fate)).collect();
        Seen::Layout { named, crowded: Vec::new() }
    }

    #[test]
    fn lowering_over_an_active_member_is_seen() {
        let mut sentinel = Sentinel::default();
        sentinel.see(layout(&[("cart-2", Fate::Active), ("cart-3", Fate::Active)]));
        sentinel.see(Seen::Replicas(4));
        assert!(sentinel.violations().is_empty());
        sentinel.see(Seen::Replicas(3));
        assert_eq!(sentinel.violations().len(), 1);
        assert!(sentinel.violations()[0].contains("cart-3"));
    }

    #[test]
    fn a_retired_member_may_go_with_its_claim() {
        let mut sentinel = Sentinel::default();
        sentinel.see(layout(&[("cart-2", Fate::Active), ("cart-3", Fate::Retired)]));
        sentinel.see(Seen::Replicas(4));
        sentinel.see(Seen::Replicas(3));
        sentinel.see(Seen::ClaimDeleted("cart-3".into()));
        assert!(sentinel.violations().is_empty());
        sentinel.see(Seen::ClaimDeleted("cart-2".into()));
        assert_eq!(sentinel.violations().len(), 1);
    }

    #[test]
    fn what_a_person_takes_away_needs_no_proof_and_zones_are_kept() {
        let mut sentinel = Sentinel::without(["cart-1".to_owned()].into());
        sentinel.see(layout(&[("cart-1", Fate::Active), ("cart-2", Fate::Active)]));
        sentinel.see(Seen::ClaimDeleted("cart-1".into()));
        assert!(sentinel.violations().is_empty());
        sentinel.see(Seen::ClaimDeleted("cart-2".into()));
        sentinel.see(Seen::Layout { named: BTreeMap::new(), crowded: vec!["two in zone a".into()] });
        assert_eq!(sentinel.violations().len(), 2);
    }

    #[test]
    fn a_pod_that_no_layout_named_needs_no_proof() {
        let mut sentinel = Sentinel::default();
        sentinel.see(layout(&[("cart-0", Fate::Active)]));
        sentinel.see(Seen::Replicas(5));
        sentinel.see(Seen::Replicas(1));
        sentinel.see(Seen::ClaimDeleted("cart-4".into()));
        assert!(sentinel.violations().is_empty());
    }
}
