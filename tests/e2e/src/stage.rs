//! Puts the operator and one store on a Kubernetes, and turns the store's size.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dynamo_operator::api::cluster::DynamoCluster;
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};

use crate::door::{Door, DoorError};

/// Where the operator runs.
pub const SYSTEM: &str = "dynamo-system";
/// Where the store and the load run.
pub const NAMESPACE: &str = "shop";
/// The store's name.
pub const STORE: &str = "cart";

/// Why the stage is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The cluster cannot be used.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// The API server does not answer as it should.
    #[error("Kubernetes: {0}")]
    Kube(#[from] kube::Error),
    /// The store did not get there in time.
    #[error("waited {seconds} s for the store to be {what}; its status is {status}")]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// The last status seen, as JSON.
        status: String,
    },
    /// The API server refused the manifest.
    #[error("the manifest was refused: {0}")]
    Refused(String),
    /// The layout record is missing or cannot be read.
    #[error("the layout record of {STORE}: {0}")]
    Layout(String),
}

/// One store under test.
#[derive(Clone)]
pub struct Stage {
    door: Door,
    client: Client,
    clusters: Api<DynamoCluster>,
}

impl Stage {
    /// Brings the cluster up, loads the images and installs the operator with Helm.
    pub async fn set(door: Door) -> Result<Self, StageError> {
        door.up().await?;
        let client = door.client().await?;
        let chart = door.root().join("charts/dynamo-operator").display().to_string();
        let install =
            ["upgrade", "--install", "dynamo", &chart, "--namespace", SYSTEM, "--create-namespace", "--wait"];
        let images = [
            "--set",
            "image.repository=dynamokv.local/dynamo-operator,image.tag=dev",
            "--set",
            "nodeImage=dynamokv.local/dynamo-node:dev",
        ];
        door.helm(&[&install[..], &images[..]].concat()).await?;
        door.apply(&format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}, labels: \
             {{pod-security.kubernetes.io/enforce: restricted}}}}}}"
        ))
        .await?;
        let clusters = Api::namespaced(client.clone(), NAMESPACE);
        Ok(Self { door, client, clusters })
    }

    /// The way to the cluster.
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// A client for the API server.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The resource as it is now.
    pub async fn get(&self) -> Result<DynamoCluster, StageError> {
        Ok(self.clusters.get(STORE).await?)
    }

    /// Applies a DynamoCluster in the store's namespace, as a person does it.
    pub async fn apply(&self, manifest: &str) -> Result<(), StageError> {
        let args = ["-n", NAMESPACE, "apply", "-f", "-"];
        let (accepted, text) = self.door.kubectl_try(&args, Some(manifest)).await?;
        if accepted { Ok(()) } else { Err(StageError::Refused(text)) }
    }

    /// Removes the store and its data, if one is there: deleting the resource alone would keep them.
    pub async fn clear(&self) -> Result<(), StageError> {
        let of = format!("dynamokv.dev/cluster={STORE}");
        let gone = ["--ignore-not-found", "--wait=true", "--timeout=120s"];
        let resource = ["-n", NAMESPACE, "delete", "dyn", STORE];
        self.door.kubectl(&[&resource[..], &gone[..]].concat()).await?;
        let kinds = "statefulset,pod,persistentvolumeclaim,configmap,secret,service,poddisruptionbudget";
        let owned = ["-n", NAMESPACE, "delete", kinds, "-l", &of];
        self.door.kubectl(&[&owned[..], &gone[..]].concat()).await?;
        Ok(())
    }

    /// How many zones the Kubernetes nodes are in.
    pub async fn zones(&self) -> Result<usize, StageError> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let nodes = nodes.list(&ListParams::default()).await?;
        let zone = |node: &Node| node.labels().get("topology.kubernetes.io/zone").cloned();
        Ok(nodes.iter().filter_map(zone).collect::<BTreeSet<_>>().len())
    }

    /// A storage class whose volumes find their place when a pod uses them first; the default one if it is such.
    pub async fn late_class(&self) -> Result<Option<String>, StageError> {
        let classes: Api<StorageClass> = Api::all(self.client.clone());
        let mut classes = classes.list(&ListParams::default()).await?.items;
        classes.retain(|class| class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"));
        let default = |class: &StorageClass| {
            class
                .annotations()
                .get("storageclass.kubernetes.io/is-default-class")
                .is_some_and(|is| is == "true")
        };
        classes.sort_by_key(|class| (!default(class), class.name_any()));
        Ok(classes.first().map(ResourceExt::name_any))
    }

    /// Merges `patch` into the resource's spec, as `kubectl patch` does it.
    pub async fn patch_spec(&self, patch: serde_json::Value) -> Result<(), StageError> {
        let patch = Patch::Merge(serde_json::json!({ "spec": patch }));
        self.clusters.patch(STORE, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// The Events of the store, as reason and note.
    pub async fn events(&self) -> Result<Vec<(String, String)>, StageError> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), NAMESPACE);
        let events = events.list(&ListParams::default()).await?;
        let about = |event: &Event| event.regarding.as_ref().and_then(|o| o.name.as_deref()) == Some(STORE);
        let text = |event: Event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default());
        Ok(events.items.into_iter().filter(about).map(text).collect())
    }

    /// `kubectl scale dyn cart --replicas=N`, as a person does it.
    pub async fn scale(&self, replicas: i32) -> Result<(), StageError> {
        self.door
            .kubectl(&["-n", NAMESPACE, "scale", "dyn", STORE, &format!("--replicas={replicas}")])
            .await?;
        Ok(())
    }

    /// Waits until `ready` holds for the resource, looking twice a second and showing each look to `see`.
    pub async fn wait(
        &self,
        what: &str,
        within: Duration,
        mut see: impl FnMut(&DynamoCluster),
        ready: impl Fn(&DynamoCluster) -> bool,
    ) -> Result<DynamoCluster, StageError> {
        let begun = Instant::now();
        loop {
            let cluster = self.get().await?;
            see(&cluster);
            if ready(&cluster) {
                return Ok(cluster);
            }
            if begun.elapsed() > within {
                let status = serde_json::to_string(&cluster.status).unwrap_or_default();
                return Err(StageError::Late { what: what.into(), seconds: within.as_secs(), status });
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// The layout record, from its ConfigMap.
    pub async fn record(&self) -> Result<dynamo_ring::record::Record, StageError> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), NAMESPACE);
        let map = maps.get(&format!("{STORE}-layout")).await?;
        let text = map.data.as_ref().and_then(|data| data.get("layout.json"));
        let text = text.ok_or_else(|| StageError::Layout("the ConfigMap has no layout.json".into()))?;
        dynamo_ring::record::Record::from_json(text).map_err(|e| StageError::Layout(e.to_string()))
    }
}
