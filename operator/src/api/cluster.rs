//! `DynamoCluster`: what a person asks for.
//!
//! What can be refused is refused by the API server, through CEL, with a message that names value, limit and remedy.
//! The operator never writes to the spec. Messages are fixed texts: the API server takes the length of a number as a
//! string for unbounded, and refuses a rule whose message is made from one as too costly.

#![allow(unreachable_pub)] // the schema derive copies each struct into a function

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;
pub use super::status::{Change, DynamoClusterStatus, LastChange, MemberState, MemberStatus, Phase, Removal};

/// A Dynamo-style key-value store.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "dynamokv.dev",
    version = "v1alpha1",
    kind = "DynamoCluster",
    plural = "dynamoclusters",
    shortname = "dyn",
    category = "all",
    namespaced,
    status = "DynamoClusterStatus",
    derive = "PartialEq",
    cel,
    doc = "A Dynamo-style key-value store: a ring of members, each in a pod with a volume of its own.",
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 40")
        .message("metadata.name: a letter first, then lower-case letters, digits and '-', at most 40 characters (the names of pods and Services are made from it)"),
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Members", type_ = "string", json_path = ".status.membersText", description = "ready / wanted"),
    printcolumn(name = "Synced", type_ = "string", json_path = ".status.syncedText", description = "replicas of partitions proven to have arrived / to move"),
    printcolumn(name = "Moved", type_ = "string", json_path = ".status.movedText", description = "bytes moved / to move"),
    printcolumn(name = "ETA", type_ = "string", json_path = ".status.eta", description = "until the copying ends, at the present rate"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.replication.__false__) ? self.replication.__false__ : self.replication.n) <= self.replicas")
        .message("spec.replicas must not be below spec.replication.n, since each partition needs n different members: raise replicas, or make the cluster with a smaller n"),
    validation = Rule::new("self.replicas <= self.ring.partitions")
        .message("spec.replicas must not be above spec.ring.partitions, since a member without a token would hold nothing: use fewer replicas"),
)]
pub struct DynamoClusterSpec {
    /// How many members there are to be. Changing it moves data before any pod goes.
    #[serde(default = "defaults::replicas")]
    #[schemars(range(min = 1, max = 256))]
    pub replicas: i32,
    /// Replicas of each partition, and the answers that a request needs by default. Fixed for life: a request can
    /// carry an r and a w of its own.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("spec.replication is fixed for the life of a cluster: requests can carry r and w of their own; for another n make a new cluster"))]
    pub replication: Replication,
    /// The ring.
    #[serde(default)]
    pub ring: Ring,
    /// The volume of each member.
    pub storage: Storage,
    /// How fast data may move on a change of size.
    #[serde(default)]
    pub rebalance: Rebalance,
    /// Image of the members; the operator's default if absent. A change restarts one member after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// CPU and memory of each member. A change restarts one member after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Environment of each member's process: its settings, such as `DYNAMO_MAX_VALUE_BYTES`, and where traces go
    /// (`OTEL_EXPORTER_OTLP_ENDPOINT`). What the operator sets itself stays as it is. A change restarts one member after
    /// another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<Setting>,
    /// How pods are spread over zones.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("spec.spread is fixed for the life of a cluster: volumes do not change their zone"))]
    pub spread: Spread,
    /// The label of Kubernetes nodes whose value is the zone of the pods on them: whatever fails at once where you are,
    /// such as a rack, a host or a power line. Replicas are kept apart by it, and pods spread if `spread` says so.
    #[serde(default = "defaults::zone_label")]
    #[schemars(schema_with = "schema::label")]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("spec.zoneLabel is fixed for the life of a cluster: its members keep the zones that they were named with"))]
    pub zone_label: String,
    /// Members of another size than the rest: one of weight 2 gets twice the replicas of one of weight 1, which all have
    /// that are not listed. A change moves data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["ordinal"]))]
    pub weights: Vec<Weight>,
    /// Node ids whose volume is gone for good. They are barred for ever; a node id that still answers is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 32, max = 32), regex(pattern = "^[0-9a-f]{32}$")))]
    pub lost_members: Vec<String>,
    /// Node ids of living members that are to begin anew on a volume of their own, one after another: to move a disk.
    /// The member gives everything away and retires, its volume claim is deleted (what becomes of the disk is up to its
    /// class), and a new member takes its place. An id whose member has retired asks for nothing any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 32, max = 32), regex(pattern = "^[0-9a-f]{32}$")))]
    pub replace_members: Vec<String>,
    /// What becomes of volumes and layout when this resource is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// N, R and W of the paper.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.r <= (has(self.__false__) ? self.__false__ : self.n)")
        .message("spec.replication.r must not be above n, since only n members hold a key: lower r"),
    validation = Rule::new("self.w <= (has(self.__false__) ? self.__false__ : self.n)")
        .message("spec.replication.w must not be above n, since only n members hold a key: lower w"),
)]
pub struct Replication {
    /// Replicas of each partition.
    #[serde(default = "defaults::n")]
    #[schemars(range(min = 1, max = 7))]
    pub n: i32,
    /// The same as `n`: YAML 1.1, which kubectl and Helm read, takes a bare `n` for the word false. Counts before `n`.
    #[serde(rename = "false", default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 7))]
    pub bare_n: Option<i32>,
    /// Answers that make a read.
    #[serde(default = "defaults::quorum")]
    #[schemars(range(min = 1, max = 7))]
    pub r: i32,
    /// Durable copies that make a write.
    #[serde(default = "defaults::quorum")]
    #[schemars(range(min = 1, max = 7))]
    pub w: i32,
}

/// The ring's one constant.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Ring {
    /// Equal arcs of the ring, a power of two. Fixed for life.
    #[serde(default = "defaults::partitions")]
    #[schemars(range(min = 8, max = 4096))]
    #[x_kube(
        validation = Rule::new("self in [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]")
            .message("spec.ring.partitions: a power of two between 8 and 4096 is needed, since partitions are named by leading bits"),
        validation = Rule::new("self == oldSelf")
            .message("spec.ring.partitions is fixed for the life of a cluster: make a new cluster and copy the data")
    )]
    pub partitions: i32,
}

/// The volume of each member.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)")
    .message("spec.storage.storageClassName is fixed for the life of a cluster: Kubernetes cannot move a volume to another class"))]
pub struct Storage {
    /// Size of each volume. It may only grow.
    #[schemars(schema_with = "schema::bytes")]
    #[x_kube(validation = Rule::new("quantity(self).compareTo(quantity(oldSelf)) >= 0")
        .message("spec.storage.size: a volume cannot shrink"))]
    pub size: String,
    /// The cluster's default class if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
    /// What becomes of the volume of a member that has retired.
    #[serde(default)]
    pub reclaim: Reclaim,
}

/// How fast data may move.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Rebalance {
    /// The most that one member pulls in a second, such as `50Mi`; without it only the members' own care for their
    /// clients slows them. A change restarts one member after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_bytes")]
    pub max_bytes_per_second: Option<String>,
}

/// CPU and memory of each member.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What is set aside for it.
    #[serde(default)]
    pub requests: Amounts,
    /// What it cannot exceed.
    #[serde(default)]
    pub limits: Amounts,
}

/// An amount of each resource.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Amounts {
    /// Cores, such as `500m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_amount")]
    pub cpu: Option<String>,
    /// Bytes, such as `1Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_amount")]
    pub memory: Option<String>,
}

/// One variable of a member's environment.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// Its name. Only those that a member reads, so that nothing else of its process can be changed.
    #[schemars(length(max = 63), regex(pattern = "^(DYNAMO|OTEL|RUST)_[A-Z0-9_]+$"))]
    pub name: String,
    /// Its value.
    #[schemars(length(max = 512))]
    pub value: String,
}

/// How much one member is to hold, next to the others.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Weight {
    /// The number at the end of its pod's name. It may be one that does not exist yet.
    #[schemars(range(min = 0, max = 255))]
    pub ordinal: i32,
    /// Its weight.
    #[schemars(range(min = 1, max = 64))]
    pub weight: i32,
}

/// How pods are spread over zones.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    /// Each prefix of ordinals evenly over the zones; a pod that would upset that waits.
    Zone,
    /// Wherever the scheduler puts them; a zone that is known still keeps replicas apart.
    #[default]
    None,
}

/// What becomes of the volume of a member that has retired.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reclaim {
    /// It stays.
    Retain,
    /// It is deleted once its member has proven that it holds nothing.
    #[default]
    Delete,
}

/// What becomes of volumes and layout when the resource is deleted.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// They stay, and a resource of the same name finds them again.
    #[default]
    Retain,
    /// They go with it.
    Delete,
}

impl Replication {
    /// N, however it was spelt.
    pub fn replicas(&self) -> i32 {
        self.bare_n.unwrap_or(self.n)
    }
}

impl Default for Replication {
    fn default() -> Self {
        Self { n: defaults::n(), bare_n: None, r: defaults::quorum(), w: defaults::quorum() }
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self { partitions: defaults::partitions() }
    }
}

mod defaults {
    pub(super) const fn replicas() -> i32 {
        3
    }
    pub(super) const fn n() -> i32 {
        3
    }
    pub(super) const fn quorum() -> i32 {
        2
    }
    pub(super) const fn partitions() -> i32 {
        256
    }
    pub(super) fn zone_label() -> String {
        crate::names::ZONE_LABEL.to_owned()
    }
}

#[cfg(test)]
mod tests;
