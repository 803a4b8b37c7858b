//! Feeds the [`Sentinel`]: watches the layout record, the StatefulSet and the volume claims of one store, and judges
//! what was seen in the order of resource versions (one etcd counts them for all kinds).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use dynamo_ring::record::{Fate, Record};
use futures::{StreamExt, TryStreamExt, future, stream};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};

use crate::sentinel::{Seen, Sentinel};
use crate::zones;

/// A running watch over one store.
#[derive(Debug)]
pub struct Watch {
    log: Arc<Mutex<Vec<(u64, Seen)>>>,
    taken_away: BTreeSet<String>,
    task: tokio::task::JoinHandle<()>,
}

impl Watch {
    /// Begins to watch the store `name` in `namespace`.
    pub fn start(client: &Client, namespace: &str, name: &str) -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let layout = observe(
            Api::<ConfigMap>::namespaced(client.clone(), namespace),
            &format!("{name}-layout"),
            layout,
        );
        let sets = observe(Api::<StatefulSet>::namespaced(client.clone(), namespace), name, replicas);
        let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), namespace);
        let labels = watcher::Config::default().labels(&format!("dynamokv.dev/cluster={name}"));
        let claims = watcher(claims, labels).default_backoff().applied_objects();
        let claims = claims.try_filter_map(|claim| future::ready(Ok(deleted(&claim)))).boxed();
        let sink = Arc::clone(&log);
        let task = tokio::spawn(async move {
            let mut all = stream::select_all([layout, sets, claims]);
            while let Some(event) = all.next().await {
                match event {
                    Ok(seen) => sink.lock().unwrap_or_else(PoisonError::into_inner).push(seen),
                    // The watcher itself reconnects, with backoff.
                    Err(error) => tracing::debug!(%error, "watch interrupted"),
                }
            }
        });
        Self { log, taken_away: BTreeSet::new(), task }
    }

    /// The volume claim of this member is about to be taken away by a person, which needs no proof.
    pub fn takes_away(&mut self, member: &str) {
        self.taken_away.insert(member.to_owned());
    }

    /// Judges all that was seen up to now.
    pub fn violations(&self) -> Vec<String> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner).clone();
        log.sort_by_key(|(version, _)| *version);
        let mut sentinel = Sentinel::without(self.taken_away.clone());
        for (_, seen) in log {
            sentinel.see(seen);
        }
        sentinel.violations().to_vec()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Events = stream::BoxStream<'static, Result<(u64, Seen), watcher::Error>>;

fn observe<K>(api: Api<K>, name: &str, read: fn(&K) -> Option<Seen>) -> Events
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let objects = watcher(api, config).default_backoff().applied_objects();
    objects.try_filter_map(move |object| future::ready(Ok(version(&object).zip(read(&object))))).boxed()
}

fn version(object: &impl kube::Resource) -> Option<u64> {
    object.meta().resource_version.as_deref()?.parse().ok()
}

fn layout(map: &ConfigMap) -> Option<Seen> {
    let record = Record::from_json(map.data.as_ref()?.get("layout.json")?).ok()?;
    let mut named = BTreeMap::new();
    // A pod's name may have had several node ids: one that may still hold data counts before those that are done.
    for member in record.named() {
        let fate = named.entry(member.name.clone()).or_insert(member.fate);
        if member.fate == Fate::Active {
            *fate = Fate::Active;
        }
    }
    let crowded = record.layouts().filter_map(zones::crowded).collect();
    Some(Seen::Layout { named, crowded })
}

fn replicas(set: &StatefulSet) -> Option<Seen> {
    set.spec.as_ref()?.replicas.map(Seen::Replicas)
}

fn deleted(claim: &PersistentVolumeClaim) -> Option<(u64, Seen)> {
    claim.metadata.deletion_timestamp.as_ref()?;
    let member = claim.name_any().strip_prefix("data-")?.to_owned();
    Some((version(claim)?, Seen::ClaimDeleted(member)))
}
