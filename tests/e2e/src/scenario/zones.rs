//! 3 -> 6 -> 3 over three zones, on volumes that bind to a zone late, while pods and the operator are killed: every
//! partition is in three zones, in every layout that is ever written.

use std::collections::BTreeMap;

use super::killer::Killer;
use super::{Outcome, Trial};
use crate::stage::Stage;
use crate::zones;

pub(super) async fn run(stage: &Stage) -> Outcome {
    let trial = Trial::begin(stage, "zones-").await?;
    three_zones(stage, 1).await?;
    for (to, each) in [(6, 2), (3, 1)] {
        stage.scale(to).await?;
        let killer = Killer::start(stage);
        trial.settled(to).await?;
        killer.stop().await?;
        trial.settled(to).await?;
        three_zones(stage, each).await?;
    }
    // The watch has looked at every layout in between.
    trial.judge().await
}

/// Every zone has as many members, and every partition is in three.
async fn three_zones(stage: &Stage, each: usize) -> Outcome {
    let record = stage.record().await?;
    let mut members: BTreeMap<&str, usize> = BTreeMap::new();
    for member in record.stable().members() {
        *members.entry(member.zone.as_str()).or_default() += 1;
    }
    println!("    members by zone: {members:?}");
    if zones::of(record.stable()).len() != 3 || members.values().any(|count| *count != each) {
        return Err(format!(
            "not {each} members in each of three zones: {members:?} (the Kubernetes nodes need the label \
             topology.kubernetes.io/zone, with three values)"
        )
        .into());
    }
    zones::crowded(record.stable()).map_or(Ok(()), |text| Err(text.into()))
}
