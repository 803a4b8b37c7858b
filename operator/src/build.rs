//! The Kubernetes objects of a cluster: pure functions from what is desired to a whole object, each beside its test.

pub mod budget;
pub mod layout;
pub mod services;
pub mod statefulset;
pub mod token;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use crate::controller::validate::Desired;
use crate::names::Names;

/// Metadata of an object that lives and dies with the resource.
fn owned(desired: &Desired, name: String) -> ObjectMeta {
    ObjectMeta { owner_references: Some(vec![desired.owner.clone()]), ..labelled(&desired.names, name) }
}

/// Metadata of an object that may outlive the resource.
fn labelled(names: &Names, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(names.namespace.clone()),
        labels: Some(names.labels()),
        ..ObjectMeta::default()
    }
}

/// Selects the members' pods.
fn members(names: &Names) -> LabelSelector {
    LabelSelector { match_labels: Some(names.selector()), match_expressions: None }
}

#[cfg(test)]
mod tests;
