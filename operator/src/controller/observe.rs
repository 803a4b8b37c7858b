//! Reads what there is: the objects, live and not from a cache (lesson 5 of operators), then the members.
//!
//! The order matters: the StatefulSet first, then the layout record and the claims, then the members.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Node, PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::drift::{Need, version};
use super::objects::{self, Found};
use super::observed::{ClaimSeen, LayoutSeen, Observed, PodSeen, StatefulSetSeen};
use super::validate::Desired;
use crate::build::{layout, statefulset, token};
use crate::names::{NODE_ID_ANNOTATION, Names};
use crate::nodeclient::{NodeClient, Target};

/// How long the zone of a Kubernetes node is taken for known.
const ZONE_AGE: Duration = Duration::from_mins(5);

/// What was read, and how to reach the members.
#[derive(Debug)]
pub struct Seen {
    /// For the plan.
    pub observed: Observed,
    /// For the objects beside it.
    pub found: Found,
    /// The members by ordinal; empty while there is no token.
    pub targets: BTreeMap<u32, Target>,
}

/// Reads clusters.
#[allow(missing_debug_implementations)] // a client has none
pub struct Observer<C> {
    client: Client,
    nodes: C,
    /// By Kubernetes node and label.
    zones: Mutex<HashMap<(String, String), (Instant, String)>>,
}

impl<C: NodeClient> Observer<C> {
    /// Reads objects by `client` and asks members by `nodes`.
    pub fn new(client: Client, nodes: C) -> Self {
        Self { client, nodes, zones: Mutex::default() }
    }

    /// Reads everything about one cluster.
    pub async fn observe(&self, desired: &Desired) -> Result<Seen, kube::Error> {
        let names = &desired.names;
        let found = self.found(names).await?;
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &names.namespace);
        let layout = layout_seen(maps.get_opt(&names.layout()).await?.as_ref(), desired);
        let members = ListParams::default().labels(&names.selector_text());
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(self.client.clone(), &names.namespace);
        let claims = claims.list(&members).await?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &names.namespace);
        let pods: BTreeMap<u32, Pod> = pods
            .list(&members)
            .await?
            .into_iter()
            .filter_map(|p| Some((names.ordinal(&p.name_any())?, p)))
            .collect();

        let token = found.token.as_ref().and_then(token::read);
        let targets: BTreeMap<u32, Target> = match &token {
            Some(token) => pods.iter().map(|(o, pod)| (*o, target(names, *o, pod, token))).collect(),
            None => BTreeMap::new(),
        };
        let mut seen_pods = BTreeMap::new();
        for (ordinal, pod) in &pods {
            let zone = self.zone(pod, &desired.zone_label).await?;
            seen_pods.insert(*ordinal, pod_seen(pod, zone, Timestamp::now()));
        }
        for (ordinal, answer) in self.ask(&targets, &seen_pods).await {
            if let Some(pod) = seen_pods.get_mut(&ordinal) {
                pod.answer = answer;
            }
        }
        let claim = |claim: &PersistentVolumeClaim| {
            Some((names.claim_ordinal(&claim.name_any())?, claim_seen(claim, desired)))
        };
        let observed = Observed {
            statefulset: statefulset_seen(&found, desired),
            layout,
            pods: seen_pods,
            claims: claims.iter().filter_map(claim).collect(),
            conflicts: Vec::new(),
        };
        Ok(Seen { observed, found, targets })
    }

    /// The StatefulSet is read first of all.
    async fn found(&self, names: &Names) -> Result<Found, kube::Error> {
        let namespace = &names.namespace;
        let statefulset = Api::namespaced(self.client.clone(), namespace).get_opt(&names.cluster).await?;
        let services = Api::namespaced(self.client.clone(), namespace);
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        Ok(Found {
            statefulset,
            clients: services.get_opt(&names.cluster).await?,
            peers: services.get_opt(&names.peers()).await?,
            token: secrets.get_opt(&names.token()).await?,
            budget: Api::namespaced(self.client.clone(), namespace).get_opt(&names.cluster).await?,
        })
    }

    /// All at once: one that does not answer costs the others nothing.
    async fn ask(
        &self,
        targets: &BTreeMap<u32, Target>,
        pods: &BTreeMap<u32, PodSeen>,
    ) -> Vec<(u32, Option<super::observed::Answer>)> {
        let up = targets.iter().filter(|(ordinal, target)| {
            target.ip.is_some() && pods.get(ordinal).is_some_and(|pod| !pod.terminating)
        });
        let calls = up.map(async |(ordinal, target)| {
            let answer = self.nodes.status(target).await;
            if let Err(error) = &answer {
                tracing::debug!(%error, "no answer");
            }
            (*ordinal, answer.ok())
        });
        join_all(calls).await
    }

    /// Empty for a pod without a place, and for a Kubernetes node without the label.
    async fn zone(&self, pod: &Pod, label: &str) -> Result<String, kube::Error> {
        let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()) else {
            return Ok(String::new());
        };
        let key = (node, label.to_owned());
        if let Some((at, zone)) = self.zones.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && at.elapsed() < ZONE_AGE
        {
            return Ok(zone.clone());
        }
        let zone = match Api::<Node>::all(self.client.clone()).get_opt(&key.0).await {
            Ok(found) => found.and_then(|n| n.labels().get(label).cloned()).unwrap_or_default(),
            // An operator that may see one namespace only goes without zones.
            Err(kube::Error::Api(status)) if status.is_forbidden() => String::new(),
            Err(error) => return Err(error),
        };
        let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        zones.insert(key, (Instant::now(), zone.clone()));
        Ok(zone)
    }
}

fn target(names: &Names, ordinal: u32, pod: &Pod, token: &str) -> Target {
    Target {
        name: names.pod(ordinal),
        address: names.address(ordinal),
        ip: pod.status.as_ref().and_then(|status| status.pod_ip.clone()),
        token: token.to_owned(),
    }
}

fn statefulset_seen(found: &Found, desired: &Desired) -> Option<StatefulSetSeen> {
    let live = found.statefulset.as_ref()?;
    let status = live.status.as_ref();
    // Until its controller has seen the last change, the revision is that of the one before.
    let current = status.filter(|status| status.observed_generation == live.metadata.generation);
    Some(StatefulSetSeen {
        version: version(live),
        replicas: objects::replicas(live),
        epoch: objects::epoch(live),
        volume_size: statefulset::volume_size(live),
        stale: matches!(objects::stale(found, desired), Need::Apply(_)),
        terminating: live.metadata.deletion_timestamp.is_some(),
        update_revision: current.and_then(|status| status.update_revision.clone()),
    })
}

fn layout_seen(map: Option<&ConfigMap>, desired: &Desired) -> LayoutSeen {
    let Some(map) = map else { return LayoutSeen::Absent };
    let owners = map.metadata.owner_references.as_deref().unwrap_or_default();
    match layout::read(map, &desired.names.cluster) {
        _ if map.metadata.deletion_timestamp.is_some() => LayoutSeen::Unusable("it is being deleted".into()),
        Ok(record) => LayoutSeen::Present {
            record: Box::new(record),
            version: version(map),
            owned_as_wanted: owners.iter().any(|o| o.uid == desired.owner.uid) == desired.delete_data,
        },
        Err(why) => LayoutSeen::Unusable(why),
    }
}

fn claim_seen(claim: &PersistentVolumeClaim, desired: &Desired) -> ClaimSeen {
    ClaimSeen {
        version: version(claim),
        node_id: claim.annotations().get(NODE_ID_ANNOTATION).and_then(|id| id.parse().ok()),
        terminating: claim.metadata.deletion_timestamp.is_some(),
        owned_as_wanted: statefulset::owned_as_wanted(desired, claim),
    }
}

fn pod_seen(pod: &Pod, zone: String, now: Timestamp) -> PodSeen {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let made = pod.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    PodSeen {
        uid: pod.uid().unwrap_or_default(),
        bound: pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()),
        zone,
        ready: conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True"),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        revision: pod.labels().get("controller-revision-hash").cloned(),
        age_seconds: u64::try_from(now.as_second() - made.as_second()).unwrap_or(0),
        answer: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::model;
    use crate::testing::desired;

    #[test]
    fn a_pod_is_read() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {
                "name": "cart-1", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"controller-revision-hash": "cart-77"},
            },
            "spec": {"nodeName": "n1", "containers": []},
            "status": {"podIP": "10.0.0.7", "conditions": [{"type": "Ready", "status": "True"}]},
        }))
        .unwrap();
        let seen = pod_seen(&pod, "a".into(), "2026-01-01T00:01:30Z".parse().unwrap());
        let wanted = PodSeen {
            uid: "u".into(),
            bound: true,
            zone: "a".into(),
            ready: true,
            revision: Some("cart-77".into()),
            age_seconds: 90,
            ..PodSeen::default()
        };
        assert_eq!(seen, wanted);
        let target = target(&desired(3).names, 1, &pod, "token");
        assert_eq!(target.ip.as_deref(), Some("10.0.0.7"));
        assert_eq!(target.address, "cart-1.cart-peers.shop.svc:7070");
    }

    #[test]
    fn a_layout_that_is_being_deleted_or_damaged_is_not_absent() {
        let desired = desired(3);
        let mut map = layout::layout(&desired, &model::settled(3));
        map.metadata.uid = Some("map".into());
        map.metadata.resource_version = Some("5".into());
        assert!(matches!(
            layout_seen(Some(&map), &desired),
            LayoutSeen::Present { owned_as_wanted: true, .. }
        ));
        map.data = None;
        assert!(matches!(layout_seen(Some(&map), &desired), LayoutSeen::Unusable(_)));
        assert_eq!(layout_seen(None, &desired), LayoutSeen::Absent);
    }

    #[test]
    fn a_claim_tells_whose_data_it_holds() {
        let mut claim = PersistentVolumeClaim::default();
        let seen = claim_seen(&claim, &desired(3));
        assert_eq!((seen.node_id, seen.owned_as_wanted), (None, true));
        claim.annotations_mut().insert(NODE_ID_ANNOTATION.into(), model::node_id(3).to_string());
        let mut wanted = desired(3);
        wanted.delete_data = true;
        let seen = claim_seen(&claim, &wanted);
        assert_eq!((seen.node_id, seen.owned_as_wanted), (Some(model::node_id(3)), false));
    }
}
