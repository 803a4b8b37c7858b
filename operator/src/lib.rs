//! The controller of `DynamoCluster`: it makes a StatefulSet of members, forms their layout, and on each change of
//! size lets a pod go only when its member has proven that it holds nothing.
//!
//! | module | what it says |
//! |---|---|
//! | [`api`] | the resource, its status and its conditions |
//! | [`build`] | the Kubernetes objects of a cluster, as pure functions |
//! | [`controller`] | what to do next, and doing it |
//! | [`crd`] | the definition of the resource, as files |
//! | [`lease`] | one operator at a time |
//! | [`names`] | what everything is called |
//! | [`nodeclient`] | asking one member |
//! | [`quantity`] | quantities as Kubernetes writes them |
//! | [`telemetry`] | logs, metrics, probes |

pub mod api;
pub mod build;
pub mod controller;
pub mod crd;
pub mod lease;
pub mod names;
pub mod nodeclient;
pub mod quantity;
pub mod telemetry;

#[cfg(test)]
mod testing;
