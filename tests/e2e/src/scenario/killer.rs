//! Kills pods of the store and the operator, without grace and one after the other, until it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt};

use crate::stage::{NAMESPACE, STORE, SYSTEM, Stage};

/// From the return of a pod of the store to the next kill.
const BETWEEN_MEMBERS: Duration = Duration::from_secs(6);
/// Longer than the lease that a killed operator leaves behind: else no operator would ever do anything.
const BETWEEN_OPERATORS: Duration = Duration::from_secs(25);
/// How long a pod of the store may take to run again before the next is killed all the same.
const RETURN: Duration = Duration::from_secs(20);

/// A running killer.
pub(super) struct Killer {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Killed>,
}

/// What it has killed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Killed {
    /// Pods of the store.
    pub(super) members: u32,
    /// Pods of the operator.
    pub(super) operators: u32,
}

impl Killer {
    /// Begins at once.
    pub(super) fn start(stage: &Stage) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(kill(stage.client().clone(), Arc::clone(&stop)));
        Self { stop, task }
    }

    /// Ends it, and tells what it has done. That nothing was killed is an error: nothing was shown.
    pub(super) async fn stop(self) -> Result<Killed, String> {
        self.stop.store(true, Ordering::Relaxed);
        let killed = self.task.await.map_err(|error| error.to_string())?;
        println!("    killed meanwhile: {} members, the operator {} times", killed.members, killed.operators);
        if killed.members == 0 || killed.operators == 0 {
            return Err(format!("not everybody was killed: {killed:?}"));
        }
        Ok(killed)
    }
}

async fn kill(client: Client, stop: Arc<AtomicBool>) -> Killed {
    let members: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let operators: Api<Pod> = Api::namespaced(client, SYSTEM);
    let (members, operators) = tokio::join!(kill_members(&members, &stop), kill_operators(&operators, &stop));
    Killed { members, operators }
}

async fn kill_members(pods: &Api<Pod>, stop: &AtomicBool) -> u32 {
    let (label, mut killed) = (format!("dynamokv.dev/cluster={STORE}"), 0);
    while !stop.load(Ordering::Relaxed) {
        // Each in its turn, whether there are three, four, five or six: all of these have nothing in common with 7.
        if let Some(name) = one(pods, &label, 2 + 7 * killed as usize).await {
            killed += 1;
            returned(pods, &name).await;
        }
        rest(stop, BETWEEN_MEMBERS).await;
    }
    killed
}

async fn kill_operators(pods: &Api<Pod>, stop: &AtomicBool) -> u32 {
    let mut killed = 0;
    rest(stop, BETWEEN_MEMBERS).await;
    while !stop.load(Ordering::Relaxed) {
        if one(pods, "app.kubernetes.io/name=dynamo-operator", 0).await.is_some() {
            killed += 1;
        }
        rest(stop, BETWEEN_OPERATORS).await;
    }
    killed
}

async fn rest(stop: &AtomicBool, pause: Duration) {
    let until = Instant::now() + pause;
    while Instant::now() < until && !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Kills one of the running pods that bear `label`.
async fn one(pods: &Api<Pod>, label: &str, which: usize) -> Option<String> {
    let mut running = pods.list(&ListParams::default().labels(label)).await.ok()?.items;
    running.retain(runs);
    running.sort_by_key(ResourceExt::name_any);
    let name = running.get(which.checked_rem(running.len())?)?.name_any();
    let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    pods.delete(&name, &at_once).await.ok()?;
    Some(name)
}

async fn returned(pods: &Api<Pod>, name: &str) {
    let until = Instant::now() + RETURN;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if pods.get_opt(name).await.ok().flatten().as_ref().is_some_and(runs) {
            return;
        }
    }
}

fn runs(pod: &Pod) -> bool {
    let running = pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
    running && pod.metadata.deletion_timestamp.is_none()
}
