//! What the operator tells about a cluster: counts and words, no tables.
//!
//! Live figures are metrics; these are written at most once in two seconds, and only when they differ.

#![allow(unreachable_pub)] // the schema derive copies each struct into a function

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conditions::Condition;
use super::schema;

/// The most members that the status lists one by one.
pub const MEMBERS_SHOWN: usize = 64;
/// How many removals the status remembers.
pub const REMOVALS_SHOWN: usize = 10;

/// Where a cluster stands.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DynamoClusterStatus {
    /// The generation of the spec that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// In one word.
    #[serde(default)]
    pub phase: Phase,
    /// Pods that the StatefulSet wants now, those that are still to give up their data among them.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub replicas: i32,
    /// Selects the pods of all members.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub selector: String,
    /// Members of the stable layout whose pods are Ready.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub ready: i32,
    /// Members that are wanted: `spec.replicas` of the generation above.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub members: i32,
    /// `ready/members`.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub members_text: String,
    /// Replicas of partitions that have arrived at their new holder: compared, and on disk.
    #[serde(default)]
    #[schemars(schema_with = "schema::count")]
    pub partitions_synced: u32,
    /// Replicas of partitions that the present change moves; 0 without one.
    #[serde(default)]
    #[schemars(schema_with = "schema::count")]
    pub partitions_to_sync: u32,
    /// `partitionsSynced/partitionsToSync`; empty without a change.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub synced_text: String,
    /// Entry bytes that pulls of the present change have carried.
    #[serde(default)]
    #[schemars(schema_with = "schema::count")]
    pub bytes_moved: u64,
    /// Stored bytes that the present change moves; 0 without one.
    #[serde(default)]
    #[schemars(schema_with = "schema::count")]
    pub bytes_to_move: u64,
    /// `bytesMoved/bytesToMove`, for people; `?` while a member cannot tell yet; empty without a change.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub moved_text: String,
    /// Until the copying ends, at the present rate; empty if unknown.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub eta: String,
    /// Made once, found in every data directory.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub cluster_id: String,
    /// Of the target while there is one, else of the stable layout.
    #[serde(default)]
    #[schemars(schema_with = "schema::count")]
    pub epoch: u64,
    /// How far the change to the target has come; `Committed` when there is none.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub step: String,
    /// The change under way, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change: Option<LastChange>,
    /// The first 64 members of stable layout and target, by ordinal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub member_list: Vec<MemberStatus>,
    /// The last 10 members that retired or were lost, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub removals: Vec<Removal>,
    /// The same as sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// Where a cluster stands, in one word.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Its pods are not all up, and it has no layout.
    #[default]
    Pending,
    /// Its pods are up, and get their first layout.
    Forming,
    /// Settled, with the members that are wanted, all of them Ready.
    Ready,
    /// Members come or go.
    Rebalancing,
    /// Members are restarted one after another, to take a new image or new settings.
    Restarting,
    /// Serving, but a member is missing, or something waits for a person.
    Degraded,
    /// Nothing can be done before a person has looked: see the conditions.
    Blocked,
}

/// A change of layout, with what it cost.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LastChange {
    /// The target's epoch.
    #[serde(default)]
    #[schemars(schema_with = "schema::count")]
    pub epoch: u64,
    /// What it does.
    #[serde(default)]
    pub change: Change,
    /// When the target was first seen.
    #[schemars(schema_with = "schema::time")]
    pub started_at: String,
    /// When every member had handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub finished_at: Option<String>,
    /// Entry bytes that pulls carried.
    #[serde(default)]
    #[schemars(schema_with = "schema::count")]
    pub bytes_moved: u64,
    /// Stored bytes of what had to move, as the sources said.
    #[serde(default)]
    #[schemars(schema_with = "schema::count")]
    pub bytes_to_move: u64,
    /// Entry bytes of the comparison that follows each pull; writes of clients that arrived meanwhile among them.
    #[serde(default)]
    #[schemars(schema_with = "schema::count")]
    pub bytes_compared: u64,
    /// Replicas of partitions that change their member.
    #[serde(default)]
    #[schemars(schema_with = "schema::count")]
    pub partitions_moved: u32,
}

/// From how many members to how many.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Members before.
    #[schemars(range(min = 0))]
    pub from: i32,
    /// Members after.
    #[schemars(range(min = 0))]
    pub to: i32,
}

/// One member.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MemberStatus {
    /// Of its pod.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Of its data directory.
    #[schemars(length(max = 32))]
    pub node_id: String,
    /// As the layout has it; empty if there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub zone: String,
    /// What it does.
    pub state: MemberState,
}

/// What a member does.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// It answers, and stays.
    Serving,
    /// The target names it, the stable layout does not yet.
    Joining,
    /// The stable layout names it, the target does not, or it is handing over.
    Leaving,
    /// It does not answer. It stays a member.
    Silent,
    /// Its volume is gone.
    Lost,
}

/// A member that is none any more.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Removal {
    /// Of its pod.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Of its data directory.
    #[schemars(length(max = 32))]
    pub node_id: String,
    /// `Retired` or `Lost`.
    #[schemars(length(max = 16))]
    pub fate: String,
    /// When the operator saw it in the layout record.
    #[schemars(schema_with = "schema::time")]
    pub at: String,
}
