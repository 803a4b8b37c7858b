use serde_json::{Value, json};

use super::*;
use crate::api::cluster::{Amounts, Resources, Setting};
use crate::build::tests::assert_object;
use crate::testing::desired;

fn claims() -> Claims {
    Claims { replicas: 3, epoch: 7, volume_size: "10Gi".into() }
}

fn pod(desired: &Desired) -> Value {
    serde_json::to_value(statefulset(desired, &claims())).unwrap()["spec"]["template"]["spec"].take()
}

#[test]
fn the_whole_object() {
    assert_object(
        &statefulset(&desired(3), &claims()),
        r"
        apiVersion: apps/v1
        kind: StatefulSet
        metadata:
          name: cart
          namespace: shop
          labels: &labels {app.kubernetes.io/name: dynamo, app.kubernetes.io/instance: cart, app.kubernetes.io/managed-by: dynamo-operator, dynamokv.dev/cluster: cart}
          annotations: {dynamokv.dev/epoch: '7'}
          ownerReferences: [{apiVersion: dynamokv.dev/v1alpha1, kind: DynamoCluster, name: cart, uid: cart-uid, controller: true}]
        spec:
          replicas: 3
          serviceName: cart-peers
          podManagementPolicy: Parallel
          updateStrategy: {type: OnDelete}
          persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}
          selector: &selector {matchLabels: {app.kubernetes.io/name: dynamo, dynamokv.dev/cluster: cart}}
          template:
            metadata: {labels: *labels}
            spec:
              automountServiceAccountToken: false
              enableServiceLinks: false
              terminationGracePeriodSeconds: 30
              securityContext:
                runAsNonRoot: true
                runAsUser: 65532
                runAsGroup: 65532
                fsGroup: 65532
                fsGroupChangePolicy: OnRootMismatch
                seccompProfile: {type: RuntimeDefault}
              affinity:
                podAntiAffinity:
                  preferredDuringSchedulingIgnoredDuringExecution:
                  - weight: 100
                    podAffinityTerm: {labelSelector: *selector, topologyKey: kubernetes.io/hostname}
              containers:
              - name: node
                image: registry.example/dynamo-node:1
                imagePullPolicy: IfNotPresent
                args:
                - --name=$(POD_NAME)
                - --listen=0.0.0.0:7070
                - --http=0.0.0.0:7071
                - --data-dir=/var/lib/dynamo/data
                - --admin-token-file=/etc/dynamo/token/token
                - --log=json
                env:
                - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
                - {name: DYNAMO_ADVERTISE, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
                ports:
                - {name: grpc, containerPort: 7070, protocol: TCP}
                - {name: http, containerPort: 7071, protocol: TCP}
                startupProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 300}
                livenessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6}
                readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 2}
                securityContext:
                  allowPrivilegeEscalation: false
                  readOnlyRootFilesystem: true
                  capabilities: {drop: [ALL]}
                volumeMounts:
                - {name: data, mountPath: /var/lib/dynamo}
                - {name: token, mountPath: /etc/dynamo/token, readOnly: true}
              volumes:
              - {name: token, secret: {secretName: cart-token, defaultMode: 288}}
          volumeClaimTemplates:
          - apiVersion: v1
            kind: PersistentVolumeClaim
            metadata: {name: data, labels: *labels}
            spec:
              accessModes: [ReadWriteOnce]
              resources: {requests: {storage: 10Gi}}
        ",
    );
}

#[test]
fn lesson_8_a_broken_pod_never_stops_the_others() {
    let object = serde_json::to_value(statefulset(&desired(3), &claims())).unwrap();
    assert_eq!(object["spec"]["podManagementPolicy"], "Parallel");
    assert_eq!(object["spec"]["updateStrategy"]["type"], "OnDelete");
}

#[test]
fn lesson_9_a_volume_keeps_the_size_of_the_set_that_exists() {
    let live = statefulset(&desired(3), &claims());
    let mut grown = desired(3);
    grown.volume_size = "20Gi".into();
    let again = Claims { volume_size: volume_size(&live).unwrap(), ..claims() };
    assert_eq!(statefulset(&grown, &again).spec, live.spec);
}

#[test]
fn replicas_are_always_given() {
    for replicas in [0, 1, 256] {
        let set = statefulset(&desired(3), &Claims { replicas, ..claims() });
        assert_eq!(set.spec.unwrap().replicas, Some(i32::try_from(replicas).unwrap()));
    }
}

#[test]
fn zones_resources_and_settings_appear_when_asked_for() {
    let mut wanted = desired(3);
    wanted.spread_zones = true;
    wanted.env = vec![Setting { name: "DYNAMO_MAX_SIBLINGS".into(), value: "32".into() }];
    wanted.resources = Some(Resources {
        requests: Amounts { cpu: Some("500m".into()), memory: None },
        limits: Amounts::default(),
    });
    let pod = pod(&wanted);
    assert_eq!(
        pod["topologySpreadConstraints"],
        json!([{
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "dynamo", "dynamokv.dev/cluster": "cart"}},
        }])
    );
    wanted.zone_label = "example.com/rack".into();
    assert_eq!(self::pod(&wanted)["topologySpreadConstraints"][0]["topologyKey"], json!("example.com/rack"));
    let node = &pod["containers"][0];
    assert_eq!(node["resources"], json!({"requests": {"cpu": "500m"}}));
    assert_eq!(node["env"][2], json!({"name": "DYNAMO_MAX_SIBLINGS", "value": "32"}));
}

#[test]
fn only_spec_and_image_reach_the_pod() {
    let mut other = desired(3);
    other.replicas = 5;
    other.generation = Some(9);
    other.rebalance_bytes_per_second = 1 << 20;
    other.reclaim = !other.reclaim;
    other.delete_data = true;
    assert_eq!(pod(&other), pod(&desired(3)));
}
