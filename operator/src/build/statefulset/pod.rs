//! The pod of a member: nothing that Pod Security `restricted` would refuse.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
    ObjectFieldSelector, PodAffinityTerm, PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec,
    Probe, ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext,
    TopologySpreadConstraint, Volume, VolumeMount, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::members;
use crate::api::cluster::{Amounts, Resources, Setting};
use crate::controller::validate::Desired;
use crate::names::{GRPC_PORT, HTTP_PORT};

/// The volume of the data directory.
pub(super) const VOLUME: &str = "data";
/// Where it is mounted. `lost+found` may lie here, so the data directory is a folder in it.
const MOUNT: &str = "/var/lib/dynamo";
/// Where the token is mounted.
const TOKEN: &str = "/etc/dynamo/token";
/// User and group of the process.
const ID: i64 = 65532;
/// Seconds that a member has to finish its requests and to write its marker of a clean stop.
const GRACE: i64 = 30;

/// The pod. It depends on the spec and on the image alone: a new operator must not restart members.
pub(super) fn template(desired: &Desired) -> PodTemplateSpec {
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(desired.names.labels()), ..ObjectMeta::default() }),
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(GRACE),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(ID),
                run_as_group: Some(ID),
                fs_group: Some(ID),
                // A volume of many files is not walked through at every start.
                fs_group_change_policy: Some("OnRootMismatch".into()),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".into(),
                    localhost_profile: None,
                }),
                ..PodSecurityContext::default()
            }),
            affinity: Some(apart(desired)),
            topology_spread_constraints: desired.spread_zones.then(|| vec![over_zones(desired)]),
            containers: vec![container(desired)],
            volumes: Some(vec![Volume {
                name: "token".into(),
                secret: Some(SecretVolumeSource {
                    secret_name: Some(desired.names.token()),
                    default_mode: Some(0o440),
                    ..SecretVolumeSource::default()
                }),
                ..Volume::default()
            }]),
            ..PodSpec::default()
        }),
    }
}

fn container(desired: &Desired) -> Container {
    let args = vec![
        "--name=$(POD_NAME)".to_owned(),
        format!("--listen=0.0.0.0:{GRPC_PORT}"),
        format!("--http=0.0.0.0:{HTTP_PORT}"),
        format!("--data-dir={MOUNT}/data"),
        format!("--admin-token-file={TOKEN}/{}", crate::names::TOKEN_KEY),
        "--log=json".to_owned(),
    ];
    // A pod that came back with another IP is found there before its name leads to it. No flag: an image that does not know
    // it would not start.
    let mut env = vec![field("POD_NAME", "metadata.name"), field("DYNAMO_ADVERTISE", "status.podIP")];
    for Setting { name, value } in &desired.env {
        if env.iter().all(|known| known.name != *name) {
            env.push(EnvVar { name: name.clone(), value: Some(value.clone()), ..EnvVar::default() });
        }
    }
    Container {
        name: "node".into(),
        image: Some(desired.image.clone()),
        image_pull_policy: Some("IfNotPresent".into()),
        args: Some(args),
        env: Some(env),
        ports: Some(vec![port("grpc", GRPC_PORT), port("http", HTTP_PORT)]),
        // Opening a store after a crash may take minutes; until then nobody counts failures.
        startup_probe: Some(probe("/healthz", 2, 5, 300)),
        liveness_probe: Some(probe("/healthz", 10, 5, 6)),
        readiness_probe: Some(probe("/readyz", 2, 2, 2)),
        resources: desired.resources.as_ref().map(resources),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), add: None }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![
            VolumeMount { name: VOLUME.into(), mount_path: MOUNT.into(), ..VolumeMount::default() },
            VolumeMount {
                name: "token".into(),
                mount_path: TOKEN.into(),
                read_only: Some(true),
                ..VolumeMount::default()
            },
        ]),
        ..Container::default()
    }
}

/// What the pod knows of itself.
fn field(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.into(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: path.into(), api_version: None }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

fn port(name: &str, port: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.into()),
        container_port: port,
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }
}

/// `period` and `timeout` in seconds.
fn probe(path: &str, period: i32, timeout: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::String("http".into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(timeout),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// On different Kubernetes nodes where that is possible: one machine's loss should be one member's.
fn apart(desired: &Desired) -> Affinity {
    let term = PodAffinityTerm {
        label_selector: Some(members(&desired.names)),
        topology_key: "kubernetes.io/hostname".into(),
        ..PodAffinityTerm::default()
    };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
                weight: 100,
                pod_affinity_term: term,
            }]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

/// With pods added one after another every prefix of ordinals is evenly spread, so scaling down keeps the zones.
fn over_zones(desired: &Desired) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: desired.zone_label.clone(),
        when_unsatisfiable: "DoNotSchedule".into(),
        label_selector: Some(members(&desired.names)),
        ..TopologySpreadConstraint::default()
    }
}

fn resources(of: &Resources) -> ResourceRequirements {
    ResourceRequirements {
        requests: amounts(&of.requests),
        limits: amounts(&of.limits),
        ..Default::default()
    }
}

fn amounts(of: &Amounts) -> Option<BTreeMap<String, Quantity>> {
    let named = [("cpu", &of.cpu), ("memory", &of.memory)];
    let given = named.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Quantity(text.clone()?))));
    let amounts: BTreeMap<_, _> = given.collect();
    (!amounts.is_empty()).then_some(amounts)
}
