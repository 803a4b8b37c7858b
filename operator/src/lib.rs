//! The controller of `DynamoCluster`: it makes a StatefulSet of members, forms their layout, and on each change of
//! size lets a pod go only when its member has proven that it holds nothing.

pub mod api;
pub mod crd;
