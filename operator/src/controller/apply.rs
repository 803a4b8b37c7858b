//! Carries steps out. Each is one call that fails if what it was decided on has changed; a failure is that step's alone.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::api::{DeleteParams, EvictParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};

use super::drift::stamped;
use super::managed;
use super::objects::{Kind, Write};
use super::observed::Version;
use super::plan::Step;
use super::validate::Desired;
use crate::build::statefulset::{Claims, statefulset};
use crate::build::{layout, token};
use crate::names::{MANAGER, NODE_ID_ANNOTATION};
use crate::nodeclient::{CallError, NodeClient, Target};

/// Why a step was not carried out. It is decided anew in the next pass.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// What it was decided on has changed since, or someone was faster.
    #[error("what this was decided on has changed")]
    Changed,
    /// The disruption budget does not allow it now.
    #[error("the disruption budget does not allow an eviction now")]
    Budget,
    /// The API server refuses, or cannot be reached.
    #[error("Kubernetes: {0}")]
    Kube(kube::Error),
    /// A member did not do it.
    #[error(transparent)]
    Member(#[from] CallError),
    /// There is no way to a member.
    #[error("{0} cannot be reached: it has no pod, or there is no token")]
    NoWay(String),
}

impl From<kube::Error> for ApplyError {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) => match status.code {
                // A precondition failed, a name is taken, or the object has gone.
                404 | 409 | 412 => Self::Changed,
                429 => Self::Budget,
                _ => Self::Kube(error),
            },
            _ => Self::Kube(error),
        }
    }
}

/// Carries out the steps of one cluster.
#[allow(missing_debug_implementations)] // a client has none
pub struct Applier<'a, C> {
    /// For objects.
    pub client: &'a Client,
    /// For members.
    pub nodes: &'a C,
    /// Whose.
    pub desired: &'a Desired,
    /// Where its members are.
    pub targets: &'a BTreeMap<u32, Target>,
}

impl<C: NodeClient> Applier<'_, C> {
    /// One of the objects beside StatefulSet and layout.
    pub async fn write(&self, write: &Write) -> Result<(), ApplyError> {
        match write {
            Write::Token => {
                let secret = token::token(self.desired, &random_token());
                self.api::<Secret>().create(&post(), &secret).await?;
            }
            Write::Create(Kind::Service, object) => self.create::<Service>(object).await?,
            Write::Create(Kind::Budget, object) => self.create::<PodDisruptionBudget>(object).await?,
            Write::Apply(Kind::Service, at, object) => self.apply::<Service>(at, object).await?,
            Write::Apply(Kind::Budget, at, object) => self.apply::<PodDisruptionBudget>(at, object).await?,
        }
        Ok(())
    }

    /// One step of the plan.
    pub async fn step(&self, step: &Step) -> Result<(), ApplyError> {
        match step {
            Step::CreateStatefulSet(claims) => self.create::<StatefulSet>(&self.set(claims)).await,
            Step::ApplyStatefulSet { at, claims } => self.apply::<StatefulSet>(at, &self.set(claims)).await,
            Step::CreateLayout(record) => {
                self.api::<ConfigMap>().create(&post(), &layout::layout(self.desired, record)).await?;
                Ok(())
            }
            Step::ReplaceLayout { at, record } => {
                let mut map = layout::layout(self.desired, record);
                map.metadata.uid = Some(at.uid.clone());
                map.metadata.resource_version = Some(at.resource_version.clone());
                self.api::<ConfigMap>().replace(&map.name_any(), &post(), &map).await?;
                Ok(())
            }
            Step::MarkVolume { ordinal, at, node_id } => {
                self.mark(*ordinal, at, node_id.as_ref().map(ToString::to_string)).await
            }
            Step::Tell { record, members } => {
                let tell = async |(ordinal, node_id): &(u32, _)| {
                    self.nodes.set_layout(self.target(*ordinal)?, *node_id, record).await?;
                    Ok::<_, ApplyError>(())
                };
                // The others hear of it whether or not one of them does.
                join_all(members.iter().map(tell)).await.into_iter().collect()
            }
            Step::Retire { ordinal, cluster_id, node_id } => {
                // Whatever the answer: the proof is what the member says of itself when it is asked next.
                self.nodes.retire(self.target(*ordinal)?, *cluster_id, *node_id).await?;
                Ok(())
            }
            Step::SetPace { ordinal, node_id, bytes_per_second } => {
                self.nodes.set_pace(self.target(*ordinal)?, *node_id, *bytes_per_second).await?;
                Ok(())
            }
            Step::DeleteVolume { ordinal, at } => {
                let only_this = DeleteParams::default().preconditions(Preconditions {
                    uid: Some(at.uid.clone()),
                    resource_version: Some(at.resource_version.clone()),
                });
                let claims = self.api::<PersistentVolumeClaim>();
                claims.delete(&self.desired.names.claim(*ordinal), &only_this).await?;
                Ok(())
            }
            Step::Restart { ordinal, uid, .. } => {
                let only_this = Preconditions { uid: Some(uid.clone()), resource_version: None };
                let params = EvictParams {
                    delete_options: Some(DeleteParams::default().preconditions(only_this)),
                    ..EvictParams::default()
                };
                self.api::<Pod>().evict(&self.desired.names.pod(*ordinal), &params).await?;
                Ok(())
            }
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.desired.names.namespace)
    }

    fn set(&self, claims: &Claims) -> Value {
        stamped(&statefulset(self.desired, claims))
    }

    fn target(&self, ordinal: u32) -> Result<&Target, ApplyError> {
        self.targets.get(&ordinal).ok_or_else(|| ApplyError::NoWay(self.desired.names.pod(ordinal)))
    }

    async fn create<K>(&self, object: &Value) -> Result<(), ApplyError>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + serde::Serialize
            + std::fmt::Debug,
    {
        let object: K = serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
        self.api::<K>().create(&post(), &object).await?;
        Ok(())
    }

    /// Server-side apply over exactly this state of exactly this object.
    async fn apply<K>(&self, at: &Version, object: &Value) -> Result<(), ApplyError>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + serde::Serialize
            + std::fmt::Debug,
    {
        let api = self.api::<K>();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let at = self.take_over(&api, name, at).await?;
        let mut object = object.clone();
        object["metadata"]["uid"] = json!(at.uid);
        object["metadata"]["resourceVersion"] = json!(at.resource_version);
        api.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&object)).await?;
        Ok(())
    }

    /// What was created belongs to an "update" of ours, and an apply would never take a field back from that. So it is
    /// made to belong to our apply first; the version that follows is the one to apply over.
    async fn take_over<K>(&self, api: &Api<K>, name: &str, at: &Version) -> Result<Version, ApplyError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let live = api.get_metadata(name).await?;
        if live.uid().as_ref() != Some(&at.uid)
            || live.resource_version().as_ref() != Some(&at.resource_version)
        {
            return Err(ApplyError::Changed);
        }
        let Some(fields) = managed::taken_over(live.managed_fields()) else { return Ok(at.clone()) };
        let patch = json!({"metadata": {
            "uid": at.uid, "resourceVersion": at.resource_version, "managedFields": fields,
        }});
        let taken = api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        Ok(super::drift::version(&taken))
    }

    async fn mark(&self, ordinal: u32, at: &Version, node_id: Option<String>) -> Result<(), ApplyError> {
        let claims = self.api::<PersistentVolumeClaim>();
        let name = self.desired.names.claim(ordinal);
        let live = claims.get_metadata(&name).await?;
        let owners = owners(live.owner_references(), self.desired);
        let mut metadata = json!({
            "uid": at.uid, "resourceVersion": at.resource_version, "ownerReferences": owners,
        });
        if let Some(node_id) = node_id {
            metadata["annotations"] = json!({ NODE_ID_ANNOTATION: node_id });
        }
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        claims
            .patch_metadata(
                &name,
                &PatchParams { field_manager: Some(MANAGER.into()), ..Default::default() },
                &patch,
            )
            .await?;
        Ok(())
    }
}

/// The owners that a claim has, with ours or without it, as the spec wants.
fn owners(standing: &[OwnerReference], desired: &Desired) -> Vec<OwnerReference> {
    let others = standing.iter().filter(|owner| owner.uid != desired.owner.uid).cloned();
    others.chain(layout::data_owner(desired)).collect()
}

/// 256 random bits.
fn random_token() -> String {
    let halves: [u128; 2] = rand::random();
    format!("{:032x}{:032x}", halves[0], halves[1])
}

fn post() -> PostParams {
    PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::desired;

    #[test]
    fn a_claim_keeps_the_owners_of_others() {
        let other = OwnerReference { uid: "other".into(), ..OwnerReference::default() };
        let mut wanted = desired(3);
        assert_eq!(owners(std::slice::from_ref(&other), &wanted), vec![other.clone()]);
        wanted.delete_data = true;
        let both = owners(std::slice::from_ref(&other), &wanted);
        assert_eq!(both.len(), 2);
        assert_eq!(owners(&both, &wanted), both);
        wanted.delete_data = false;
        assert_eq!(owners(&both, &wanted), vec![other]);
    }

    #[test]
    fn no_two_tokens_are_alike() {
        assert_ne!(random_token(), random_token());
        assert_eq!(random_token().len(), 64);
    }

    #[test]
    fn lesson_2_someone_was_faster_is_no_failure() {
        let error = |code| {
            let status = kube::core::Status { code, ..Default::default() };
            ApplyError::from(kube::Error::Api(Box::new(status)))
        };
        assert!(matches!(error(409), ApplyError::Changed));
        assert!(matches!(error(404), ApplyError::Changed));
        assert!(matches!(error(429), ApplyError::Budget));
        assert!(matches!(error(403), ApplyError::Kube(_)));
    }
}
