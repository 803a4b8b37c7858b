use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::*;

fn cart() -> Value {
    json!({
        "apiVersion": "dynamokv.dev/v1alpha1",
        "kind": "DynamoCluster",
        "metadata": {"name": "cart"},
        "spec": {"storage": {"size": "10Gi"}},
    })
}

fn with(path: &str, value: Value) -> DynamoCluster {
    let mut cart = cart();
    let mut at = &mut cart;
    for name in path.split('.') {
        if at[name].is_null() {
            at[name] = json!({});
        }
        at = &mut at[name];
    }
    *at = value;
    serde_json::from_value(cart).unwrap()
}

fn refused(cluster: &DynamoCluster) -> String {
    cluster.validate_cel().expect_err("accepted").to_string()
}

fn refused_update(cluster: &DynamoCluster, old: &DynamoCluster) -> String {
    cluster.validate_cel_update(old).expect_err("accepted").to_string()
}

#[test]
fn the_least_that_is_needed_gets_the_designs_defaults() {
    let cluster: DynamoCluster = serde_json::from_value(cart()).unwrap();
    let spec = &cluster.spec;
    assert_eq!((spec.replicas, spec.ring.partitions), (3, 256));
    assert_eq!(spec.replication, Replication { n: 3, bare_n: None, r: 2, w: 2 });
    assert_eq!((spec.storage.reclaim, spec.deletion_policy), (Reclaim::Delete, DeletionPolicy::Retain));
    cluster.validate_cel().unwrap();
}

#[test]
fn more_replicas_of_data_than_members_names_both_and_the_remedy() {
    let text = refused(&with("spec.replication", json!({"n": 5})));
    assert!(text.contains("spec.replicas must not be below spec.replication.n"), "{text}");
    assert!(text.contains("raise replicas"), "{text}");
}

#[test]
fn an_n_that_yaml_took_for_false_counts_all_the_same() {
    let cluster = with("spec.replication", json!({"n": 3, "false": 2, "r": 2, "w": 2}));
    assert_eq!(cluster.spec.replication.replicas(), 2);
    cluster.validate_cel().unwrap();
    let text = refused(&with("spec.replication", json!({"n": 3, "false": 5})));
    assert!(text.contains("spec.replicas must not be below spec.replication.n"), "{text}");
}

#[test]
fn a_quorum_larger_than_n_is_refused() {
    assert!(
        refused(&with("spec.replication", json!({"w": 4})))
            .contains("spec.replication.w must not be above n")
    );
    assert!(refused(&with("spec.replication", json!({"n": 1, "w": 1}))).contains("lower r"));
}

#[test]
fn partitions_are_a_power_of_two() {
    assert!(refused(&with("spec.ring.partitions", json!(100))).contains("power of two"));
    with("spec.ring.partitions", json!(64)).validate_cel().unwrap();
}

#[test]
fn a_member_without_a_token_is_refused() {
    let mut cluster = with("spec.ring.partitions", json!(8));
    cluster.spec.replicas = 9;
    assert!(refused(&cluster).contains("use fewer replicas"));
}

#[test]
fn names_that_pods_and_services_cannot_have_are_refused() {
    for bad in ["3cart", "Cart", "cart-", &"c".repeat(41)] {
        let cluster = with("metadata.name", json!(bad));
        assert!(refused(&cluster).contains("at most 40 characters"), "{bad}");
    }
    with("metadata.name", json!("c".repeat(40))).validate_cel().unwrap();
}

#[test]
fn what_is_fixed_for_life_cannot_change() {
    let old: DynamoCluster = serde_json::from_value(cart()).unwrap();
    let partitions = with("spec.ring.partitions", json!(512));
    assert!(refused_update(&partitions, &old).contains("fixed for the life"));
    let replication = with("spec.replication", json!({"n": 3, "r": 1, "w": 3}));
    assert!(refused_update(&replication, &old).contains("spec.replication is fixed"));
    let spread = with("spec.spread", json!("zone"));
    assert!(refused_update(&spread, &old).contains("spec.spread is fixed"));
    let label = with("spec.zoneLabel", json!("example.com/rack"));
    assert!(refused_update(&label, &old).contains("spec.zoneLabel is fixed"));
    let class = with("spec.storage", json!({"size": "10Gi", "storageClassName": "fast"}));
    assert!(refused_update(&class, &old).contains("storageClassName is fixed"));
    assert!(refused_update(&old, &class).contains("storageClassName is fixed"));
}

#[test]
fn weights_and_the_label_of_zones_are_bounded_by_the_schema() {
    let schema = serde_json::to_value(DynamoCluster::crd()).unwrap();
    let spec =
        &schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    assert_eq!(spec["zoneLabel"]["default"], json!("topology.kubernetes.io/zone"));
    assert_eq!(spec["zoneLabel"]["maxLength"], json!(317));
    let weights = &spec["weights"];
    assert_eq!(weights["x-kubernetes-list-map-keys"], json!(["ordinal"]));
    assert_eq!(weights["maxItems"], json!(256));
    let of = &weights["items"]["properties"];
    assert_eq!((&of["weight"]["minimum"], &of["weight"]["maximum"]), (&json!(1.0), &json!(64.0)));
    assert_eq!((&of["ordinal"]["minimum"], &of["ordinal"]["maximum"]), (&json!(0.0), &json!(255.0)));
}

#[test]
fn a_volume_may_grow_and_not_shrink() {
    let old: DynamoCluster = serde_json::from_value(cart()).unwrap();
    let smaller = with("spec.storage.size", json!("9Gi"));
    assert!(refused_update(&smaller, &old).contains("cannot shrink"));
    with("spec.storage.size", json!("11Gi")).validate_cel_update(&old).unwrap();
}

#[test]
fn a_change_of_size_is_accepted() {
    let old: DynamoCluster = serde_json::from_value(cart()).unwrap();
    with("spec.replicas", json!(5)).validate_cel_update(&old).unwrap();
    old.validate_cel_update(&with("spec.replicas", json!(5))).unwrap();
    assert!(refused_update(&with("spec.replicas", json!(2)), &old).contains("raise replicas"));
}
