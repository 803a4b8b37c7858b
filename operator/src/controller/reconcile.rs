//! One pass over one cluster: observe -> validate -> plan -> apply -> status. Nothing is kept between two passes but the
//! status that has not been written yet.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dynamo_ring::ClusterId;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::{PartialObjectMeta, PartialObjectMetaExt};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;

use super::apply::{Applier, ApplyError};
use super::objects::{Objects, objects};
use super::observe::Observer;
use super::plan::layout::Seed;
use super::plan::{Plan, Step, Wait, plan};
use super::status::{self, Facts, Pace, pace};
use super::story::{self, Tale};
use super::validate::Desired;
use super::words::{name, outcome, summary};
use crate::api::cluster::{DynamoCluster, DynamoClusterStatus};
use crate::names::{MANAGER, Names};
use crate::nodeclient::{CallError, NodeClient};
use crate::telemetry::Metrics;

/// After a step: its effect is looked at soon.
const SOON: Duration = Duration::from_millis(100);
/// While a change is under way, or something is awaited.
const BUSY: Duration = Duration::from_secs(1);
/// When all is as it should be. Watches tell of most changes at once.
const CALM: Duration = Duration::from_secs(30);
/// After the API server failed.
const TROUBLE: Duration = Duration::from_secs(5);

/// The longest action that an Event may have.
const ACTION: usize = 128;

/// Why a pass came to no end.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The API server refuses, or cannot be reached.
    #[error("Kubernetes: {0}")]
    Kube(#[from] kube::Error),
}

/// The last status of a cluster, and when one was written.
#[derive(Debug, Clone, Default)]
struct Told {
    uid: String,
    status: Option<DynamoClusterStatus>,
    written: Option<Instant>,
    /// Of the last pass: what is asked for again and again is no news, and no reason to hurry.
    steps: Vec<Step>,
    /// Told as Events.
    removals: HashSet<String>,
}

/// Makes passes.
#[allow(missing_debug_implementations)] // a client has none
pub struct Reconciler<C> {
    client: Client,
    nodes: C,
    observer: Observer<C>,
    recorder: Recorder,
    metrics: Metrics,
    node_image: String,
    told: Mutex<HashMap<Names, Told>>,
}

impl<C: NodeClient + Clone> Reconciler<C> {
    /// `node_image` is for clusters whose spec has none.
    pub fn new(client: Client, nodes: C, recorder: Recorder, metrics: Metrics, node_image: String) -> Self {
        Self {
            observer: Observer::new(client.clone(), nodes.clone()),
            client,
            nodes,
            recorder,
            metrics,
            node_image,
            told: Mutex::default(),
        }
    }

    /// One pass over the cluster of these names.
    pub async fn pass(&self, names: &Names) -> Action {
        let begun = Instant::now();
        let (outcome, action) = match self.try_pass(names).await {
            Ok(action) => ("done", action),
            Err(error) => {
                tracing::warn!(namespace = names.namespace, cluster = names.cluster, %error, "a pass failed");
                ("failed", Action::requeue(TROUBLE))
            }
        };
        self.metrics.pass(outcome, begun.elapsed());
        action
    }

    async fn try_pass(&self, names: &Names) -> Result<Action, PassError> {
        let clusters: Api<DynamoCluster> = Api::namespaced(self.client.clone(), &names.namespace);
        // Live: a spec from a cache may be an older one.
        let Some(cluster) = clusters.get_opt(&names.cluster).await? else {
            self.forget(names);
            return Ok(Action::await_change());
        };
        if cluster.metadata.deletion_timestamp.is_some() {
            // Nothing holds it back, and the garbage collector takes what is owned: there is nothing to do.
            return Ok(Action::await_change());
        }
        let before = self.before(names, &cluster);
        let now = now();
        let (status, rest) = match Desired::new(&cluster, &self.node_image) {
            Err(error) => (status::invalid(&before, &error, cluster.metadata.generation, &now), CALM),
            Ok(desired) => self.work(&cluster, &desired, &before, &now).await?,
        };
        self.metrics.cluster(names, &status);
        let rest = match self.tell(&clusters, names, &cluster, status).await {
            Ok(Some(later)) => later.min(rest),
            Ok(None) => rest,
            Err(error) => {
                tracing::warn!(%error, "the status was not written");
                rest.min(TROUBLE)
            }
        };
        Ok(Action::requeue(rest))
    }

    /// Observes, plans and applies; the status after it, and how long to rest.
    async fn work(
        &self,
        cluster: &DynamoCluster,
        desired: &Desired,
        before: &DynamoClusterStatus,
        now: &str,
    ) -> Result<(DynamoClusterStatus, Duration), PassError> {
        let mut seen = self.observer.observe(desired).await?;
        let Objects { writes, conflicts } = objects(&seen.found, desired, seen.observed.layout.record());
        seen.observed.conflicts = conflicts;
        let names = &desired.names;
        let plan = plan(&seen.observed, desired, &Seed { cluster_id: ClusterId(rand::random()) });
        let applier = Applier { client: &self.client, nodes: &self.nodes, desired, targets: &seen.targets };
        let mut failures = Vec::new();
        if seen.observed.conflicts.is_empty() {
            for write in &writes {
                if let Some(failure) = self.outcome("Write", &applier.write(write).await) {
                    failures.push(failure);
                }
            }
        }
        let again = self.again(&desired.names, &plan.steps);
        for step in &plan.steps {
            let result = applier.step(step).await;
            if !again {
                tracing::info!(
                    namespace = desired.names.namespace,
                    cluster = desired.names.cluster,
                    step = name(step),
                    outcome = outcome(&result),
                    "{}",
                    summary(step)
                );
            }
            if result.is_ok() {
                let tales = story::tell(step, &seen.observed, &desired.names);
                self.publish(&cluster.object_ref(&()), self.untold(names, tales)).await;
            }
            failures.extend(self.outcome(name(step), &result));
        }
        let facts = Facts { desired, observed: &seen.observed, plan: &plan, failures: &failures, now };
        let status = status::status(before, &facts);
        Ok((status, rest(&plan, writes.len(), again, &failures)))
    }

    /// Whether these are the steps of the last pass.
    fn again(&self, names: &Names, steps: &[Step]) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut told.entry(names.clone()).or_default().steps;
        let again = !steps.is_empty() && last == steps;
        steps.clone_into(last);
        again
    }

    /// Counts how a step ended; the sentence for the status if a person should know. That someone was faster, that a
    /// budget holds an eviction back, or that a member did not answer, is no failure: the next pass sees to it.
    fn outcome(&self, step: &'static str, result: &Result<(), ApplyError>) -> Option<String> {
        self.metrics.step(step, outcome(result));
        match result {
            Err(error @ (ApplyError::Kube(_) | ApplyError::Member(CallError::Refused(..)))) => {
                Some(format!("{step}: {error}"))
            }
            _ => None,
        }
    }

    /// The status that the next one is made from: the last one of this very resource, written or not.
    fn before(&self, names: &Names, cluster: &DynamoCluster) -> DynamoClusterStatus {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let last = told.get(names).filter(|told| Some(&told.uid) == cluster.metadata.uid.as_ref());
        last.and_then(|told| told.status.clone()).or_else(|| cluster.status.clone()).unwrap_or_default()
    }

    /// Writes the status if it differs and it is time; else says when it will be.
    async fn tell(
        &self,
        clusters: &Api<DynamoCluster>,
        names: &Names,
        cluster: &DynamoCluster,
        status: DynamoClusterStatus,
    ) -> Result<Option<Duration>, kube::Error> {
        let uid = cluster.uid().unwrap_or_default();
        let since = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = told.entry(names.clone()).or_default();
            if entry.uid != uid {
                entry.written = None;
                entry.uid = uid;
            }
            entry.status = Some(status.clone());
            entry.written.map(|at| at.elapsed())
        };
        match pace(cluster.status.as_ref() != Some(&status), since) {
            Pace::Nothing => Ok(None),
            Pace::Later(later) => Ok(Some(later)),
            Pace::Write => {
                let removed = self.untold(names, story::removals(cluster.status.as_ref(), &status));
                self.publish(&cluster.object_ref(&()), removed).await;
                let document = json!({
                    "apiVersion": DynamoCluster::api_version(&()),
                    "kind": DynamoCluster::kind(&()),
                    "metadata": {"name": names.cluster, "uid": cluster.metadata.uid},
                    "status": status,
                });
                let params = PatchParams::apply(MANAGER).force();
                clusters.patch_status(&names.cluster, &params, &Patch::Apply(document)).await?;
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(entry) = told.get_mut(names) {
                    entry.written = Some(Instant::now());
                }
                Ok(None)
            }
        }
    }

    /// Those of `tales` that this process has not told, if they are of removals; from now on it has.
    fn untold(&self, names: &Names, mut tales: Vec<Tale>) -> Vec<Tale> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let removals = &mut told.entry(names.clone()).or_default().removals;
        tales.retain(|tale| !tale.is_removal() || removals.insert(tale.note.clone()));
        tales
    }

    /// An Event that cannot be written is not worth a failed pass.
    async fn publish(&self, about: &ObjectReference, tales: Vec<Tale>) {
        for tale in tales {
            let event = Event {
                type_: tale.type_,
                reason: tale.reason.into(),
                // The recorder counts Events of one action as one, whatever they say: two members that retire would
                // be told as one of them, twice.
                action: tale.note.chars().take(ACTION).collect(),
                note: Some(tale.note),
                secondary: None,
            };
            if let Err(error) = self.recorder.publish(&event, about).await {
                tracing::debug!(%error, "an event was not written");
            }
        }
    }

    /// A resource that cannot even be read: told where a person looks, and the others go on (lesson 13 of operators).
    pub async fn unreadable(&self, metadata: &kube::core::ObjectMeta, why: &str) -> Action {
        let tale = Tale {
            type_: EventType::Warning,
            reason: "Unreadable",
            note: format!(
                "this operator cannot read the resource: {why}; correct it, or update the operator"
            ),
        };
        self.metrics.pass("unreadable", Duration::ZERO);
        let about: PartialObjectMeta<DynamoCluster> = metadata.clone().into_request_partial();
        self.publish(&about.object_ref(&()), vec![tale]).await;
        Action::requeue(CALM)
    }

    fn forget(&self, names: &Names) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(names);
        self.metrics.forget(names);
    }
}

/// Shared between passes.
pub type Shared<C> = Arc<Reconciler<C>>;

/// How long until the next look.
fn rest(plan: &Plan, writes: usize, again: bool, failures: &[String]) -> Duration {
    let awaits = plan.waits.iter().any(|wait| !matches!(wait, Wait::VolumeSize(..)));
    if !failures.is_empty() {
        TROUBLE
    } else if writes > 0 || (!plan.steps.is_empty() && !again) {
        SOON
    } else if awaits || again {
        BUSY
    } else {
        CALM
    }
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::observed::Version;

    #[test]
    fn the_pace_follows_what_there_is_to_do() {
        let idle = Plan::default();
        assert_eq!(rest(&idle, 0, false, &[]), CALM);
        assert_eq!(rest(&idle, 1, false, &[]), SOON);
        let step =
            Step::DeleteVolume { ordinal: 3, at: Version { uid: "u".into(), resource_version: "1".into() } };
        let stepping = Plan { steps: vec![step], waits: vec![] };
        assert_eq!(rest(&stepping, 0, false, &[]), SOON);
        assert_eq!(rest(&stepping, 0, true, &[]), BUSY, "asked for again: no hurry");
        let waiting = Plan { steps: vec![], waits: vec![Wait::StatefulSetGoing] };
        assert_eq!(rest(&waiting, 0, false, &[]), BUSY);
        assert_eq!(rest(&waiting, 0, false, &["x".into()]), TROUBLE);
        // A volume size that this version does not grow is told, and is no reason to look every second.
        let told = Plan { steps: vec![], waits: vec![Wait::VolumeSize("1Gi".into(), "2Gi".into())] };
        assert_eq!(rest(&told, 0, false, &[]), CALM);
    }

    #[test]
    fn a_time_is_as_kubernetes_writes_it() {
        let now = now();
        assert_eq!(now.len(), "2026-01-01T00:00:00Z".len());
        assert!(now.parse::<Timestamp>().is_ok());
    }
}
