//! The pods that this crate runs beside the store: nothing outside the cluster dials a pod, so load and checks run
//! inside it and answer through the API server (logs and exec).

use serde_json::{Value, json};

/// Image of the load generator.
pub const LOAD_IMAGE: &str = "dynamokv.local/dynamo-load:dev";
/// Where journal and stop file lie, shared by the containers of a load pod.
pub const SHARED: &str = "/shared";
/// The journal of acknowledged writes.
pub const JOURNAL: &str = "/shared/journal";
/// Its appearance ends the load.
pub const STOP_FILE: &str = "/shared/stop";
/// The cluster's admin token, from the Secret that the operator made.
pub const TOKEN_FILE: &str = "/token/token";

/// A pod with two containers on one folder: `load` runs `dynamo-load ARGS` and ends; `desk` stays, so that commands
/// can be run beside the journal after the load has ended.
pub fn load_pod(namespace: &str, name: &str, store: &str, args: &[String]) -> Value {
    let security = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    });
    let container = |container: &str, args: Vec<String>| {
        json!({
            "name": container,
            "image": LOAD_IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "args": args,
            "securityContext": security,
            "volumeMounts": [
                {"name": "shared", "mountPath": SHARED},
                {"name": "token", "mountPath": "/token", "readOnly": true},
            ],
        })
    };
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": "dynamo-load"}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 2,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container("load", args.to_vec()), container("desk", vec!["idle".into()])],
            "volumes": [
                {"name": "shared", "emptyDir": {}},
                {"name": "token", "secret": {"secretName": format!("{store}-token")}},
            ],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_containers_share_the_journal_and_none_is_privileged() {
        let pod = load_pod("shop", "writer", "cart", &["run".into()]);
        for container in pod["spec"]["containers"].as_array().unwrap() {
            assert_eq!(container["volumeMounts"][0]["mountPath"], SHARED);
            assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
        }
        assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["spec"]["volumes"][1]["secret"]["secretName"], "cart-token");
    }
}
