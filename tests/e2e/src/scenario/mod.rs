//! What must hold on a real Kubernetes, a file a scenario. Each begins with three settled members, runs its own load,
//! and ends with every acknowledged write found on every replica that the layout names.

mod deleted;
mod door_step;
mod killer;
mod lost;
mod proof;
mod quick;
mod quiet;
mod replaced;
mod resize;
mod zones;

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use dynamo_operator::api::cluster::DynamoCluster;
use dynamo_ring::Record;

use crate::load::Load;
use crate::pods::{JOURNAL, STOP_FILE};
use crate::rehearsal::settled;
use crate::stage::{NAMESPACE, STORE, Stage};
use crate::watch::Watch;

/// Whatever a scenario ends in; the message is the report.
pub type Outcome = Result<(), Box<dyn Error>>;
type Run = for<'a> fn(&'a Stage) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// A named scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name, as `e2e NAME` takes it.
    pub name: &'static str,
    /// What it does.
    pub run: Run,
}

/// All of them, in the order in which they are run.
pub const ALL: &[Scenario] = &[
    Scenario { name: "bad-input-is-refused-where-it-is-given", run: |stage| Box::pin(door_step::run(stage)) },
    Scenario { name: "scale-up-and-down", run: |stage| Box::pin(resize::run(stage)) },
    Scenario { name: "three-zones-throughout", run: |stage| Box::pin(zones::run(stage)) },
    Scenario { name: "a-living-member-on-another-volume", run: |stage| Box::pin(replaced::run(stage)) },
    Scenario { name: "a-pod-and-its-volume-lost-for-good", run: |stage| Box::pin(lost::run(stage)) },
    Scenario { name: "sizes-in-quick-succession", run: |stage| Box::pin(quick::run(stage)) },
    Scenario { name: "nothing-deleted-comes-back", run: |stage| Box::pin(deleted::run(stage)) },
    Scenario { name: "nothing-is-written-when-nothing-changes", run: |stage| Box::pin(quiet::run(stage)) },
];

/// How long any one change may take here; a bound against hanging, not a figure.
const PATIENCE: Duration = Duration::from_mins(10);

/// The store that the scenarios share: small, slowed down so that "in mid-transfer" is a time one can hit, and quick
/// to reap.
const MANIFEST: &str = r#"
apiVersion: dynamokv.dev/v1alpha1
kind: DynamoCluster
metadata: {name: cart}
spec:
  replicas: 3
  replication: {n: 3, r: 2, w: 2}
  ring: {partitions: 64}
  storage: {size: 1Gi}
  rebalance: {maxBytesPerSecond: 512Ki}
  env: [{name: DYNAMO_REAP_INTERVAL_MS, value: "2000"}]
"#;

/// The manifest as this Kubernetes allows it: pods spread over the zones if there are three, and on volumes that find
/// their place when they are used first.
pub async fn manifest(stage: &Stage) -> Result<String, Box<dyn Error>> {
    let mut manifest = MANIFEST.to_owned();
    if let Some(class) = stage.late_class().await? {
        manifest = manifest.replace("size: 1Gi", &format!("size: 1Gi, storageClassName: {class}"));
    }
    if stage.zones().await? >= 3 {
        manifest.push_str("  spread: zone\n");
    }
    Ok(manifest)
}

/// Keys that each scenario loads first.
const KEYS: u64 = 3_000;

/// A load of [`KEYS`] keys of 1 KiB, loaded and running, and a watch over what goes.
struct Trial<'a> {
    stage: &'a Stage,
    load: Load,
    watch: Watch,
    /// Who was there at the beginning, and who had gone before.
    before: Record,
}

impl<'a> Trial<'a> {
    /// `prefix` begins the names of the keys: each scenario has its own.
    async fn begin(stage: &'a Stage, prefix: &str) -> Result<Self, Box<dyn Error>> {
        stage.wait("settled with 3 members", PATIENCE, |_| {}, |c| settled(c, 3)).await?;
        let before = stage.record().await?;
        let watch = Watch::start(stage.client(), NAMESPACE, STORE);
        let args = format!(
            "run --seeds {STORE}:7070 --keys {KEYS} --value-bytes 1024 --writers 8 --readers 2 --rate 300 \
             --prefix {prefix} --journal {JOURNAL} --stop-file {STOP_FILE} --duration 900"
        );
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let load = Load::start(stage.door(), stage.client(), "load", &args).await?;
        load.wait("loaded", PATIENCE, |_| {}, |line| line.loaded).await?;
        Ok(Self { stage, load, watch, before })
    }

    /// Waits until the store has settled with `members`.
    async fn settled(&self, members: i32) -> Outcome {
        let what = format!("settled with {members} members");
        self.stage.wait(&what, PATIENCE, |_| {}, |c| settled(c, members)).await?;
        Ok(())
    }

    /// Stops the load and judges everything that it was told, and whether everybody who went had a proof.
    async fn judge(self) -> Outcome {
        self.load.stop().await?;
        let report = self.load.verify().await?;
        let text = serde_json::to_string(&report)?;
        if report.lost > 0 || report.found != report.keys || report.keys < KEYS || !report.roots_equal {
            return Err(format!("not as promised: {text}").into());
        }
        let violations = self.watch.violations();
        if !violations.is_empty() {
            return Err(violations.join("; ").into());
        }
        let gone = proof::removals(self.stage, &self.before).await?;
        println!("    {text}");
        println!("    members that went, with proof in record, status and Events: {gone}");
        self.load.remove().await?;
        Ok(())
    }
}

/// Waits until a transfer is under way: some of the target's partitions are still to arrive. (The status is written at
/// most once in two seconds, and a move takes some seconds at the store's limit.)
async fn mid_move(stage: &Stage) -> Outcome {
    let moving = |cluster: &DynamoCluster| {
        let status = cluster.status.as_ref();
        status.is_some_and(|status| status.partitions_to_sync > status.partitions_synced)
    };
    stage.wait("in mid-move", PATIENCE, |_| {}, moving).await?;
    Ok(())
}
