//! Undoes every fault, and waits until nobody owes anybody anything and the replicas are alike.

use std::collections::BTreeSet;
use std::time::Duration;

use dynamo_checker::Value;
use dynamo_client::{Client, ReadOptions};
use dynamo_load::holdings;
use dynamo_proto::v1::Stage;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use super::strike::StrikeError;
use crate::scene::{NODES, QUORUM, Scene};
use crate::workload::values;

/// How long the replicas have for becoming alike: many rounds of anti-entropy on a machine that has other things to do.
pub const WITHIN: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(250);

/// Ends every cut, empties every disk, starts every node that does not run. Returns those that had ended by themselves, with the
/// last words of each.
///
/// # Errors
/// What could not be undone.
pub async fn undo(scene: &Scene) -> Result<Vec<String>, StrikeError> {
    if let Some(network) = &scene.ground.network {
        network.mend_all().await?;
    }
    for disk in &scene.ground.disks {
        disk.give_room()?;
    }
    let mut ended = Vec::new();
    let mut cluster = scene.cluster().await;
    for node in 0..NODES {
        if let Some(process) = cluster.nodes().get_mut(&node) {
            let Some(status) = process.ended() else { continue };
            ended.push(format!("dev-{node} ended by itself ({status}):\n{}", process.log_tail(5)));
            cluster.nodes().remove(&node);
        }
        block_in_place(|| cluster.start(node))?;
    }
    Ok(ended)
}

/// Waits until the replicas are alike. Returns what is not so in time, and how long it took.
pub async fn wait(scene: &Scene) -> (Vec<String>, Duration) {
    let begun = Instant::now();
    loop {
        let apart = apart(scene).await;
        if apart.is_empty() || begun.elapsed() > WITHIN {
            return (apart, begun.elapsed());
        }
        sleep(PAUSE).await;
    }
}

async fn apart(scene: &Scene) -> Vec<String> {
    let driver = scene.cluster().await.driver().clone();
    let look = match driver.look().await {
        Ok(look) => look,
        Err(why) => return vec![why.to_string()],
    };
    let mut apart = Vec::new();
    for (id, status) in &look.statuses {
        match status {
            None => apart.push(format!("member {id} does not answer")),
            Some(status) if status.stage() != Stage::Serving => {
                apart.push(format!("{} does not serve", status.name));
            }
            Some(status) if status.hints > 0 => {
                apart.push(format!("{} still holds {} hints", status.name, status.hints));
            }
            Some(_) => {}
        }
    }
    if !apart.is_empty() {
        return apart;
    }
    match holdings::ask(&look.record, scene.token()).await {
        Ok(copies) => {
            let unequal = holdings::unequal(&look.record, &copies);
            unequal.iter().map(|partition| format!("the roots of partition {} differ", partition.0)).collect()
        }
        Err(why) => vec![why.to_string()],
    }
}

/// What all replicas of a key answer together.
///
/// # Errors
/// When they do not answer though all is well, in words.
pub async fn read(client: &Client, round: &str, key: u32) -> Result<BTreeSet<Value>, String> {
    let options = ReadOptions { r: Some(QUORUM.n.into()), strict: true, ..ReadOptions::default() };
    match client.get(&values::key(round, key), &options).await {
        Ok(found) => Ok(found.siblings.iter().map(|sibling| values::number(&sibling.value)).collect()),
        Err(why) => Err(format!("key {key} cannot be read from all of its replicas: {why}")),
    }
}
