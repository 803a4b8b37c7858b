//! Two Services: one for clients, one that gives each member its name.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::owned;
use crate::controller::validate::Desired;
use crate::names::{GRPC_PORT, HTTP_PORT};

/// What clients dial: any member that is Ready.
pub fn clients(desired: &Desired) -> Service {
    service(desired, desired.names.cluster.clone(), vec![port("grpc", GRPC_PORT)], ServiceSpec::default())
}

/// What gives each pod its name. A dormant member is not Ready and still has to be reached, by the operator and, once
/// it joins, by its peers.
pub fn peers(desired: &Desired) -> Service {
    let headless = ServiceSpec {
        cluster_ip: Some("None".into()),
        publish_not_ready_addresses: Some(true),
        ..ServiceSpec::default()
    };
    let ports = vec![port("grpc", GRPC_PORT), port("http", HTTP_PORT)];
    service(desired, desired.names.peers(), ports, headless)
}

fn service(desired: &Desired, name: String, ports: Vec<ServicePort>, spec: ServiceSpec) -> Service {
    Service {
        metadata: owned(desired, name),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            selector: Some(desired.names.selector()),
            ports: Some(ports),
            ..spec
        }),
        status: None,
    }
}

fn port(name: &str, port: i32) -> ServicePort {
    ServicePort {
        name: Some(name.into()),
        port,
        protocol: Some("TCP".into()),
        target_port: Some(IntOrString::String(name.into())),
        ..ServicePort::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::tests::assert_object;
    use crate::testing::desired;

    #[test]
    fn clients_reach_members_that_are_ready() {
        assert_object(
            &clients(&desired(3)),
            "
            apiVersion: v1
            kind: Service
            metadata:
              name: cart
              namespace: shop
              labels: {app.kubernetes.io/name: dynamo, app.kubernetes.io/instance: cart, app.kubernetes.io/managed-by: dynamo-operator, dynamokv.dev/cluster: cart}
              ownerReferences: [{apiVersion: dynamokv.dev/v1alpha1, kind: DynamoCluster, name: cart, uid: cart-uid, controller: true}]
            spec:
              type: ClusterIP
              selector: {app.kubernetes.io/name: dynamo, dynamokv.dev/cluster: cart}
              ports: [{name: grpc, port: 7070, protocol: TCP, targetPort: grpc}]
            ",
        );
    }

    #[test]
    fn lesson_7_a_pod_that_is_not_ready_has_a_name() {
        assert_object(
            &peers(&desired(3)),
            "
            apiVersion: v1
            kind: Service
            metadata:
              name: cart-peers
              namespace: shop
              labels: {app.kubernetes.io/name: dynamo, app.kubernetes.io/instance: cart, app.kubernetes.io/managed-by: dynamo-operator, dynamokv.dev/cluster: cart}
              ownerReferences: [{apiVersion: dynamokv.dev/v1alpha1, kind: DynamoCluster, name: cart, uid: cart-uid, controller: true}]
            spec:
              type: ClusterIP
              clusterIP: None
              publishNotReadyAddresses: true
              selector: {app.kubernetes.io/name: dynamo, dynamokv.dev/cluster: cart}
              ports:
              - {name: grpc, port: 7070, protocol: TCP, targetPort: grpc}
              - {name: http, port: 7071, protocol: TCP, targetPort: http}
            ",
        );
    }
}
