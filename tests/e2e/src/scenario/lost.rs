//! A pod and its volume are gone for good, while other pods and the operator are killed: the member is recorded as lost,
//! and the others give its replicas to a new one.

use dynamo_operator::api::cluster::DynamoCluster;

use super::killer::Killer;
use super::replaced::member;
use super::{Outcome, PATIENCE, Trial};
use crate::stage::{NAMESPACE, STORE, Stage};

pub(super) async fn run(stage: &Stage) -> Outcome {
    let mut trial = Trial::begin(stage, "lost-").await?;
    let name = format!("{STORE}-1");
    let old = member(&stage.record().await?, &name)?;
    trial.watch.takes_away(&name);
    let claim = format!("data-{name}");
    let door = stage.door();
    door.kubectl(&["-n", NAMESPACE, "delete", "pvc", &claim, "--wait=false"]).await?;
    door.kubectl(&["-n", NAMESPACE, "delete", "pod", &name, "--grace-period=0", "--force"]).await?;
    let killer = Killer::start(stage);
    let lost = |cluster: &DynamoCluster| {
        let removals = cluster.status.iter().flat_map(|status| &status.removals);
        removals.into_iter().any(|removal| removal.node_id == old && removal.fate == "Lost")
    };
    stage.wait("told that its member is lost", PATIENCE, |_| {}, lost).await?;
    trial.settled(3).await?;
    killer.stop().await?;
    trial.settled(3).await?;
    if member(&stage.record().await?, &name)? == old {
        return Err(format!("{name} is still node {old}, whose volume is gone").into());
    }
    trial.judge().await
}
