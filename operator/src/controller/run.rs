//! Turns watches into passes: the resources, and the StatefulSets and pods that belong to them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};

use super::reconcile::{Reconciler, Shared};
use crate::api::cluster::DynamoCluster;
use crate::names::{CLUSTER_LABEL, Names};
use crate::nodeclient::NodeClient;

/// A resource, or what could not be read of it: one bad one must not end the watch over all.
type Guarded = DeserializeGuard<DynamoCluster>;

/// Where resources are looked for.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Here only; everywhere without it.
    pub namespace: Option<String>,
}

/// Clusters that are worked on at one time.
const CONCURRENCY: u16 = 16;
/// Events that come in one go make one pass.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Runs until the process ends.
pub async fn run<C: NodeClient + Clone>(client: Client, reconciler: Shared<C>, scope: &Scope) {
    let ours = watcher::Config::default().labels(CLUSTER_LABEL);
    Controller::new(scope.api::<Guarded>(&client), watcher::Config::default())
        .with_config(Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
        .owns(scope.api::<StatefulSet>(&client), ours.clone())
        .watches(scope.api::<Pod>(&client), ours, |pod| cluster_of(&pod))
        .run(pass, |_, error: &Infallible, _| match *error {}, reconciler)
        .for_each(async |result| {
            if let Err(error) = result {
                tracing::debug!(%error, "a watch was interrupted");
            }
        })
        .await;
}

async fn pass<C: NodeClient + Clone>(
    cluster: Arc<Guarded>,
    reconciler: Arc<Reconciler<C>>,
) -> Result<Action, Infallible> {
    Ok(match &cluster.0 {
        Ok(cluster) => {
            let namespace = cluster.namespace().unwrap_or_default();
            reconciler.pass(&Names::new(&namespace, &cluster.name_any())).await
        }
        Err(invalid) => {
            tracing::warn!(name = invalid.metadata.name, error = invalid.error, "a resource cannot be read");
            reconciler.unreadable(&invalid.metadata, &invalid.error).await
        }
    })
}

/// The cluster that a pod says it belongs to.
fn cluster_of(pod: &Pod) -> Option<ObjectRef<Guarded>> {
    let cluster = pod.labels().get(CLUSTER_LABEL)?;
    Some(ObjectRef::new(cluster).within(&pod.namespace()?))
}

impl Scope {
    fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_leads_to_its_cluster_and_to_no_other() {
        let pod = |labels| -> Pod {
            serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "shop", "labels": labels}}))
                .unwrap()
        };
        let found = cluster_of(&pod(json!({"dynamokv.dev/cluster": "cart"}))).unwrap();
        assert_eq!((found.name.as_str(), found.namespace.as_deref()), ("cart", Some("shop")));
        assert!(cluster_of(&pod(json!({"app": "other"}))).is_none());
    }

    #[test]
    fn lesson_13_one_bad_object_does_not_kill_the_watch() {
        let good = json!({"apiVersion": "dynamokv.dev/v1alpha1", "kind": "DynamoCluster",
            "metadata": {"name": "cart", "namespace": "shop"}, "spec": {"storage": {"size": "1Gi"}}});
        let mut bad = good.clone();
        bad["metadata"]["name"] = json!("bad");
        bad["spec"]["replicas"] = json!("three");
        let list: Vec<Guarded> = serde_json::from_value(json!([bad, good])).unwrap();
        let bad = list[0].0.as_ref().unwrap_err();
        assert_eq!(bad.metadata.name.as_deref(), Some("bad"));
        assert_eq!(list[1].0.as_ref().unwrap().name_any(), "cart");
    }
}
