//! The resource that a person writes and reads: `DynamoCluster`, its status and its conditions.

pub mod cluster;
pub mod conditions;
mod schema;
pub mod status;
