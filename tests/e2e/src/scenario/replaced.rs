//! A living member is moved to another volume while pods and the operator are killed: three members, so a stand-in comes
//! first and goes last.

use dynamo_ring::{Fate, Record};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{Api, ResourceExt};
use serde_json::json;

use super::killer::Killer;
use super::{Outcome, PATIENCE, Trial};
use crate::stage::{NAMESPACE, STORE, Stage};

pub(super) async fn run(stage: &Stage) -> Outcome {
    let trial = Trial::begin(stage, "moved-").await?;
    let name = format!("{STORE}-1");
    let (old, disk) = (member(&stage.record().await?, &name)?, volume(stage, &name).await?);
    stage.patch_spec(json!({ "replaceMembers": [old] })).await?;
    let killer = Killer::start(stage);
    let has_gone = |c: &dynamo_operator::api::cluster::DynamoCluster| {
        c.status.as_ref().is_some_and(|status| status.removals.iter().any(|removal| removal.node_id == old))
    };
    stage.wait("rid of the old member", PATIENCE, |_| {}, has_gone).await?;
    trial.settled(3).await?;
    killer.stop().await?;
    trial.settled(3).await?;
    let record = stage.record().await?;
    let (new, other) = (member(&record, &name)?, volume(stage, &name).await?);
    if new == old || other == disk {
        return Err(format!("{name} is node {new} on volume {other}, and was {old} on {disk}").into());
    }
    let fate = record.named().iter().find(|named| named.node_id.to_string() == old).map(|named| named.fate);
    if fate != Some(Fate::Retired) {
        return Err(format!("{name} (node {old}) was to retire: {fate:?}").into());
    }
    stage.patch_spec(json!({ "replaceMembers": null })).await?;
    trial.settled(3).await?;
    trial.judge().await
}

/// The node id of the stable member of this name.
pub(super) fn member(record: &Record, name: &str) -> Result<String, String> {
    let member = record.stable().members().iter().find(|member| member.name == name);
    member.map(|member| member.node_id.to_string()).ok_or_else(|| format!("{name} is no member"))
}

/// The uid of the volume claim of the pod of this name.
async fn volume(stage: &Stage, pod: &str) -> Result<String, kube::Error> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(stage.client().clone(), NAMESPACE);
    Ok(claims.get(&format!("data-{pod}")).await?.uid().unwrap_or_default())
}
