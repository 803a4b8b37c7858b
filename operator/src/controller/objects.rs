//! The objects beside StatefulSet and layout: Services, token, budget. Each is made or applied by itself.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::Value;

use super::drift::{Need, need, stamped};
use super::observed::Version;
use super::validate::Desired;
use crate::build::statefulset::{Claims, statefulset, volume_size};
use crate::build::{budget, services};
use dynamo_ring::Record;

/// The objects as they were found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The pods' controller.
    pub statefulset: Option<StatefulSet>,
    /// The Service of clients.
    pub clients: Option<Service>,
    /// The headless Service.
    pub peers: Option<Service>,
    /// The admin token.
    pub token: Option<Secret>,
    /// How many may go.
    pub budget: Option<PodDisruptionBudget>,
}

/// What kind an object is: for the call that writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A Service.
    Service,
    /// A PodDisruptionBudget.
    Budget,
}

/// A write of one object.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Make a token. It is random, so it is made where it is written.
    Token,
    /// Make this object. Fails if there is one.
    Create(Kind, Value),
    /// Apply this object over this state of it.
    Apply(Kind, Version, Value),
}

/// What has to be written, and which names belong to someone else.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Objects {
    /// Each by itself.
    pub writes: Vec<Write>,
    /// `kind/name`.
    pub conflicts: Vec<String>,
}

/// Looks at all of them. The budget follows the layout record.
pub fn objects(found: &Found, desired: &Desired, record: Option<&Record>) -> Objects {
    let owner = desired.owner.uid.as_str();
    let names = &desired.names;
    let mut objects = Objects::default();
    let clients = stamped(&services::clients(desired));
    let peers = stamped(&services::peers(desired));
    let budget = stamped(&budget::budget(desired, record));
    let looked_at = [
        (Kind::Service, names.cluster.clone(), need(&clients, found.clients.as_ref(), owner), clients),
        (Kind::Service, names.peers(), need(&peers, found.peers.as_ref(), owner), peers),
        (Kind::Budget, names.cluster.clone(), need(&budget, found.budget.as_ref(), owner), budget),
    ];
    for (kind, name, need, wanted) in looked_at {
        match need {
            Need::Nothing => {}
            Need::Create => objects.writes.push(Write::Create(kind, wanted)),
            Need::Apply(at) => objects.writes.push(Write::Apply(kind, at, wanted)),
            Need::Foreign => objects.conflicts.push(format!("{kind:?}/{name}")),
        }
    }
    // A token that stands is never written again, whatever it is: members have read it.
    match need(&Value::Null, found.token.as_ref(), owner) {
        Need::Create => objects.writes.push(Write::Token),
        Need::Foreign => objects.conflicts.push(format!("Secret/{}", names.token())),
        Need::Apply(_) | Need::Nothing => {}
    }
    let set = stale(found, desired);
    if set == Need::Foreign {
        objects.conflicts.push(format!("StatefulSet/{}", names.cluster));
    }
    objects
}

/// Whether the StatefulSet, with the replicas and the epoch that it has, differs from what would be applied.
pub fn stale(found: &Found, desired: &Desired) -> Need {
    let Some(live) = &found.statefulset else { return Need::Create };
    let claims = Claims {
        replicas: replicas(live),
        epoch: epoch(live),
        volume_size: volume_size(live).unwrap_or_else(|| desired.volume_size.clone()),
    };
    need(&stamped(&statefulset(desired, &claims)), Some(live), &desired.owner.uid)
}

/// Pods that a StatefulSet wants; Kubernetes' own default is 1.
pub fn replicas(live: &StatefulSet) -> u32 {
    live.spec.as_ref().and_then(|spec| spec.replicas).map_or(1, |r| u32::try_from(r).unwrap_or(0))
}

/// The epoch that it bears; 0 if none can be read.
pub fn epoch(live: &StatefulSet) -> u64 {
    let annotations = live.metadata.annotations.as_ref();
    annotations.and_then(|a| a.get(crate::names::EPOCH_ANNOTATION)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::desired;

    fn as_applied(desired: &Desired) -> Found {
        let read = |value: Value| serde_json::from_value(value).unwrap();
        let claims = Claims { replicas: 3, epoch: 4, volume_size: "10Gi".into() };
        let budget = stamped(&budget::budget(desired, None));
        Found {
            statefulset: serde_json::from_value(stamped(&statefulset(desired, &claims))).unwrap(),
            clients: Some(read(stamped(&services::clients(desired)))),
            peers: Some(read(stamped(&services::peers(desired)))),
            token: Some(crate::build::token::token(desired, "abc")),
            budget: serde_json::from_value(budget).unwrap(),
        }
    }

    #[test]
    fn everything_is_made_where_there_is_nothing() {
        let objects = objects(&Found::default(), &desired(3), None);
        assert_eq!(objects.writes.len(), 4);
        assert_eq!(objects.conflicts, Vec::<String>::new());
    }

    #[test]
    fn lesson_10_nothing_is_written_where_everything_stands() {
        let desired = desired(3);
        let found = as_applied(&desired);
        assert_eq!(objects(&found, &desired, None), Objects::default());
        assert_eq!(stale(&found, &desired), Need::Nothing);
    }

    #[test]
    fn a_token_that_stands_is_never_written_again() {
        let desired = desired(3);
        let mut found = as_applied(&desired);
        found.token = Some(crate::build::token::token(&desired, "another"));
        assert_eq!(objects(&found, &desired, None), Objects::default());
    }

    #[test]
    fn each_name_of_someone_else_is_told() {
        let desired = desired(3);
        let mut found = as_applied(&desired);
        found.statefulset.as_mut().unwrap().metadata.owner_references = None;
        found.token.as_mut().unwrap().metadata.owner_references.as_mut().unwrap()[0].uid = "other".into();
        let conflicts = objects(&found, &desired, None).conflicts;
        assert_eq!(conflicts, vec!["Secret/cart-token".to_owned(), "StatefulSet/cart".to_owned()]);
    }

    #[test]
    fn a_new_image_makes_the_set_stale() {
        let mut changed = desired(3);
        let found = as_applied(&changed);
        changed.image = "registry.example/dynamo-node:2".into();
        assert!(matches!(stale(&found, &changed), Need::Apply(_)));
    }
}
