//! The cluster that the unit tests of this crate share.

use crate::api::cluster::DynamoCluster;
use crate::controller::validate::Desired;

/// The resource `cart` in `shop`, as the API server gives it out.
pub(crate) fn cart(replicas: i32) -> DynamoCluster {
    let cluster = serde_json::json!({
        "apiVersion": "dynamokv.dev/v1alpha1",
        "kind": "DynamoCluster",
        "metadata": {"name": "cart", "namespace": "shop", "uid": "cart-uid", "generation": 1},
        "spec": {
            "replicas": replicas,
            "ring": {"partitions": 16},
            "storage": {"size": "10Gi"},
        },
    });
    serde_json::from_value(cluster).unwrap()
}

/// The same, checked.
pub(crate) fn desired(replicas: i32) -> Desired {
    Desired::new(&cart(replicas), "registry.example/dynamo-node:1").unwrap()
}
