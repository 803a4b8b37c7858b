//! What must hold on a real Kubernetes, a file a scenario. Each begins with three settled members, runs its own load,
//! and ends with every acknowledged write found on every replica that the layout names.

mod change_of_mind;
mod door_step;
mod operator_killed;
mod pod_killed;
mod quiet;
mod resize;

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

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
    Scenario { name: "change-of-mind-in-mid-move", run: |stage| Box::pin(change_of_mind::run(stage)) },
    Scenario { name: "pod-killed-in-mid-transfer", run: |stage| Box::pin(pod_killed::run(stage)) },
    Scenario { name: "operator-killed-in-mid-transfer", run: |stage| Box::pin(operator_killed::run(stage)) },
    Scenario { name: "nothing-is-written-when-nothing-changes", run: |stage| Box::pin(quiet::run(stage)) },
];

/// How long any one change may take here; a bound against hanging, not a figure.
const PATIENCE: Duration = Duration::from_mins(5);

/// The store that the scenarios share: small, and slowed down so that "in mid-transfer" is a time one can hit.
pub const MANIFEST: &str = r"
apiVersion: dynamokv.dev/v1alpha1
kind: DynamoCluster
metadata: {name: cart}
spec:
  replicas: 3
  replication: {n: 3, r: 2, w: 2}
  ring: {partitions: 64}
  storage: {size: 1Gi}
  rebalance: {maxBytesPerSecond: 256Ki}
";

/// A load of 6,000 keys of 1 KiB, loaded and running, and a watch over removals.
struct Trial {
    load: Load,
    watch: Watch,
}

impl Trial {
    /// `prefix` begins the names of the keys: each scenario has its own.
    async fn begin(stage: &Stage, prefix: &str) -> Result<Self, Box<dyn Error>> {
        stage.wait("settled with 3 members", PATIENCE, |_| {}, |c| settled(c, 3)).await?;
        let watch = Watch::start(stage.client(), NAMESPACE, STORE);
        let args = format!(
            "run --seeds {STORE}:7070 --keys 6000 --value-bytes 1024 --writers 8 --readers 2 --rate 400 \
             --prefix {prefix} --journal {JOURNAL} --stop-file {STOP_FILE} --duration 900"
        );
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let load = Load::start(stage.door(), stage.client(), "load", &args).await?;
        load.wait("loaded", PATIENCE, |_| {}, |line| line.loaded).await?;
        Ok(Self { load, watch })
    }

    /// Stops the load and judges everything that it was told.
    async fn judge(self) -> Outcome {
        self.load.stop().await?;
        let report = self.load.verify().await?;
        let text = serde_json::to_string(&report)?;
        if report.lost > 0 || report.found != report.keys || report.keys < 6000 || !report.roots_equal {
            return Err(format!("not as promised: {text}").into());
        }
        let violations = self.watch.violations();
        if !violations.is_empty() {
            return Err(violations.join("; ").into());
        }
        println!("    {text}");
        self.load.remove().await?;
        Ok(())
    }
}

/// Waits until a transfer is under way: some of the target's partitions are still to arrive. (The status is written at
/// most once in two seconds, and a move takes about ten at the store's limit.)
async fn mid_move(stage: &Stage) -> Outcome {
    stage
        .wait(
            "in mid-move",
            PATIENCE,
            |_| {},
            |cluster| {
                cluster
                    .status
                    .as_ref()
                    .is_some_and(|status| status.partitions_to_sync > status.partitions_synced)
            },
        )
        .await?;
    Ok(())
}
