//! The StatefulSet of the members' pods.

mod pod;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{layout, members, owned};
use crate::controller::validate::Desired;
use crate::names::EPOCH_ANNOTATION;

/// What of a StatefulSet is not in the spec of the resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Pods. It is in every apply: left out, server-side apply would reset it to 1.
    pub replicas: u32,
    /// The highest epoch whose members may be told.
    pub epoch: u64,
    /// Size of the volumes. A StatefulSet's cannot change, so one that exists keeps its own.
    pub volume_size: String,
}

/// The whole StatefulSet.
///
/// `Parallel`: with `OrderedReady` a broken pod could not be rolled back. `OnDelete`: only the operator's own step
/// restarts a member. The retention policy is `Retain` throughout: the operator deletes volumes itself, by uid, after
/// the proof.
pub fn statefulset(desired: &Desired, claims: &Claims) -> StatefulSet {
    let mut metadata = owned(desired, desired.names.cluster.clone());
    metadata.annotations = Some(BTreeMap::from([(EPOCH_ANNOTATION.to_owned(), claims.epoch.to_string())]));
    StatefulSet {
        metadata,
        spec: Some(StatefulSetSpec {
            // At most 256, by CEL.
            replicas: i32::try_from(claims.replicas).ok(),
            service_name: Some(desired.names.peers()),
            pod_management_policy: Some("Parallel".into()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".into()),
                ..StatefulSetUpdateStrategy::default()
            }),
            persistent_volume_claim_retention_policy: Some(StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some("Retain".into()),
                when_scaled: Some("Retain".into()),
            }),
            selector: members(&desired.names),
            template: pod::template(desired),
            volume_claim_templates: Some(vec![volume(desired, &claims.volume_size)]),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

fn volume(desired: &Desired, size: &str) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(pod::VOLUME.into()),
            labels: Some(desired.names.labels()),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".into(), Quantity(size.to_owned()))])),
                limits: None,
            }),
            storage_class_name: desired.volume_class.clone(),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

/// The size that an existing StatefulSet gives to new volumes.
pub fn volume_size(live: &StatefulSet) -> Option<String> {
    let templates = live.spec.as_ref()?.volume_claim_templates.as_ref()?;
    let requests = templates.first()?.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    Some(requests.get("storage")?.0.clone())
}

/// Whether a volume claim goes when the resource goes, as the spec wants it.
pub fn owned_as_wanted(desired: &Desired, claim: &PersistentVolumeClaim) -> bool {
    let owners = claim.metadata.owner_references.as_deref().unwrap_or_default();
    owners.iter().any(|owner| owner.uid == desired.owner.uid) == layout::data_owner(desired).is_some()
}

#[cfg(test)]
mod tests;
