//! From the resource as it was read to a spec that cannot be wrong: the rest of the controller takes no other.
//!
//! CEL has refused most of this already; a resource that was written under an older definition, or with validation
//! switched off, is held here and not worked on.

use std::collections::{BTreeMap, BTreeSet};

use dynamo_ring::{MAX_WEIGHT, NodeId, Partitions, Quorum};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;

use crate::api::cluster::{DeletionPolicy, DynamoCluster, Reclaim, Resources, Setting, Spread, Weight};
use crate::names::{Names, is_label};
use crate::quantity;

/// Why a resource cannot be worked on. The remedy is always an edit of the resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A resource that no API server has accepted.
    #[error("the resource has no {0}")]
    Missing(&'static str),
    /// A number out of its range.
    #[error("{field} is {value}: {limit}")]
    Range {
        /// Its path.
        field: &'static str,
        /// As it stands.
        value: i64,
        /// What it may be, and the remedy.
        limit: &'static str,
    },
    /// A text that is no quantity.
    #[error("{field} is `{value}`: a quantity such as 10Gi is needed")]
    Quantity {
        /// Its path.
        field: &'static str,
        /// As it stands.
        value: String,
    },
    /// A text that is no label.
    #[error(
        "spec.zoneLabel is `{0}`: the key of a node's label is needed, such as topology.kubernetes.io/zone"
    )]
    Label(String),
    /// A member with two weights.
    #[error("spec.weights has ordinal {0} twice: leave one")]
    WeightTwice(u32),
    /// A text that is no node id.
    #[error("{field} has `{value}`: 32 hex digits are needed, as `kubectl get dyn -o yaml` shows them")]
    NodeId {
        /// Its path.
        field: &'static str,
        /// As it stands.
        value: String,
    },
}

/// A spec that holds together.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// What its objects are called.
    pub names: Names,
    /// The resource, as the controller of what is made for it.
    pub owner: OwnerReference,
    /// Of the spec.
    pub generation: Option<i64>,
    /// Members wanted. At least N.
    pub replicas: u32,
    /// N, R and W.
    pub quorum: Quorum,
    /// Q.
    pub partitions: Partitions,
    /// Of the members.
    pub image: String,
    /// CPU and memory of each member.
    pub resources: Option<Resources>,
    /// Environment of each member's process.
    pub env: Vec<Setting>,
    /// Size of each volume.
    pub volume_size: String,
    /// Class of each volume.
    pub volume_class: Option<String>,
    /// Volumes of retired members are deleted.
    pub reclaim: bool,
    /// Bytes a second that one member may pull; 0 is without limit.
    pub rebalance_bytes_per_second: u64,
    /// Pods are spread evenly over zones.
    pub spread_zones: bool,
    /// The label of Kubernetes nodes that is their zone.
    pub zone_label: String,
    /// By ordinal, of those that have another than 1.
    pub weights: BTreeMap<u32, u16>,
    /// Whose volume a person says is gone.
    pub lost: BTreeSet<NodeId>,
    /// Living members that are to begin anew on another volume.
    pub replaced: BTreeSet<NodeId>,
    /// Volumes and layout go with the resource.
    pub delete_data: bool,
}

impl Desired {
    /// How much the member of this ordinal is to hold, next to the others.
    pub fn weight(&self, ordinal: u32) -> u16 {
        self.weights.get(&ordinal).copied().unwrap_or(1)
    }

    /// The spec of `cluster`, if it holds together.
    pub fn new(cluster: &DynamoCluster, default_image: &str) -> Result<Self, SpecError> {
        let meta = &cluster.metadata;
        let name = meta.name.clone().ok_or(SpecError::Missing("name"))?;
        let namespace = meta.namespace.clone().ok_or(SpecError::Missing("namespace"))?;
        let spec = &cluster.spec;
        let quorum = quorum(cluster)?;
        let replicas = u32::try_from(spec.replicas).ok().filter(|r| *r >= u32::from(quorum.n));
        let replicas = replicas.ok_or(SpecError::Range {
            field: "spec.replicas",
            value: spec.replicas.into(),
            limit: "each partition needs n different members; raise it to spec.replication.n at least",
        })?;
        let partitions = u32::try_from(spec.ring.partitions).ok().and_then(|q| Partitions::new(q).ok());
        let partitions = partitions.ok_or(SpecError::Range {
            field: "spec.ring.partitions",
            value: spec.ring.partitions.into(),
            limit: "a power of two between 8 and 4096 is needed",
        })?;
        Ok(Self {
            owner: owner(cluster, &name)?,
            names: Names { namespace, cluster: name },
            generation: meta.generation,
            replicas,
            quorum,
            partitions,
            image: spec.image.clone().unwrap_or_else(|| default_image.to_owned()),
            resources: spec.resources.clone(),
            env: spec.env.clone(),
            volume_size: checked("spec.storage.size", &spec.storage.size)
                .map(|_| spec.storage.size.clone())?,
            volume_class: spec.storage.storage_class_name.clone(),
            reclaim: spec.storage.reclaim == Reclaim::Delete,
            rebalance_bytes_per_second: match &spec.rebalance.max_bytes_per_second {
                Some(text) => checked("spec.rebalance.maxBytesPerSecond", text)?,
                None => 0,
            },
            spread_zones: spec.spread == Spread::Zone,
            lost: node_ids("spec.lostMembers", &spec.lost_members)?,
            replaced: node_ids("spec.replaceMembers", &spec.replace_members)?,
            zone_label: Some(spec.zone_label.clone())
                .filter(|label| is_label(label))
                .ok_or_else(|| SpecError::Label(spec.zone_label.clone()))?,
            weights: weights(&spec.weights)?,
            delete_data: spec.deletion_policy == DeletionPolicy::Delete,
        })
    }
}

fn quorum(cluster: &DynamoCluster) -> Result<Quorum, SpecError> {
    let spec = cluster.spec.replication;
    let count = |field, value: i32, most: i32| {
        let range =
            SpecError::Range { field, value: value.into(), limit: "between 1 and n, and n at most 7" };
        u8::try_from(value).ok().filter(|v| (1..=most).contains(&i32::from(*v))).ok_or(range)
    };
    Ok(Quorum {
        n: count("spec.replication.n", spec.replicas(), 7)?,
        r: count("spec.replication.r", spec.r, spec.replicas())?,
        w: count("spec.replication.w", spec.w, spec.replicas())?,
    })
}

fn node_ids(field: &'static str, ids: &[String]) -> Result<BTreeSet<NodeId>, SpecError> {
    let parse = |id: &String| id.parse().map_err(|_| SpecError::NodeId { field, value: id.clone() });
    ids.iter().map(parse).collect()
}

fn weights(given: &[Weight]) -> Result<BTreeMap<u32, u16>, SpecError> {
    let range = |field, value: i32, limit| SpecError::Range { field, value: value.into(), limit };
    let mut weights = BTreeMap::new();
    for &Weight { ordinal, weight } in given {
        let ordinal = u32::try_from(ordinal)
            .map_err(|_| range("spec.weights[].ordinal", ordinal, "the number of a pod is needed"))?;
        let weight = u16::try_from(weight).ok().filter(|w| (1..=MAX_WEIGHT).contains(w)).ok_or(range(
            "spec.weights[].weight",
            weight,
            "between 1 and 64",
        ))?;
        if weights.insert(ordinal, weight).is_some() {
            return Err(SpecError::WeightTwice(ordinal));
        }
    }
    Ok(weights)
}

fn owner(cluster: &DynamoCluster, name: &str) -> Result<OwnerReference, SpecError> {
    Ok(OwnerReference {
        api_version: DynamoCluster::api_version(&()).into_owned(),
        kind: DynamoCluster::kind(&()).into_owned(),
        name: name.to_owned(),
        uid: cluster.metadata.uid.clone().ok_or(SpecError::Missing("uid"))?,
        controller: Some(true),
        block_owner_deletion: None,
    })
}

fn checked(field: &'static str, text: &str) -> Result<u64, SpecError> {
    let bytes = quantity::units(text).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| SpecError::Quantity { field, value: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::cart;

    #[test]
    fn an_image_of_the_spec_goes_before_the_operators() {
        let mut cluster = cart(3);
        assert_eq!(Desired::new(&cluster, "default:1").unwrap().image, "default:1");
        cluster.spec.image = Some("own:2".into());
        assert_eq!(Desired::new(&cluster, "default:1").unwrap().image, "own:2");
    }

    #[test]
    fn what_slipped_past_the_api_server_is_held_here() {
        let refuse = |edit: fn(&mut DynamoCluster)| {
            let mut cluster = cart(3);
            edit(&mut cluster);
            Desired::new(&cluster, "image").unwrap_err().to_string()
        };
        assert!(refuse(|c| c.spec.replicas = 2).contains("spec.replicas is 2"));
        assert!(refuse(|c| c.spec.replicas = -1).contains("spec.replicas is -1"));
        assert!(refuse(|c| c.spec.ring.partitions = 100).contains("power of two"));
        assert!(refuse(|c| c.spec.replication.w = 4).contains("spec.replication.w is 4"));
        assert!(refuse(|c| c.spec.storage.size = "much".into()).contains("`much`"));
        assert!(refuse(|c| c.spec.lost_members = vec!["x".into()]).contains("32 hex digits"));
        assert!(
            refuse(|c| c.spec.replace_members = vec!["y".into()]).contains("spec.replaceMembers has `y`")
        );
        assert!(refuse(|c| c.spec.zone_label = "-rack".into()).contains("`-rack`"));
        assert!(
            refuse(|c| c.spec.weights = vec![Weight { ordinal: 0, weight: 65 }]).contains("weight is 65")
        );
        assert!(
            refuse(|c| c.spec.weights = vec![Weight { ordinal: -1, weight: 1 }]).contains("ordinal is -1")
        );
        assert!(refuse(|c| c.spec.weights = vec![Weight { ordinal: 7, weight: 1 }; 2]).contains("7 twice"));
        assert!(refuse(|c| c.metadata.uid = None).contains("uid"));
    }
}
