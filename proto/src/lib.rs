//! The wire contract: package `dynamo.v1` as generated from `proto/dynamo/v1/*.proto`, and nothing else.
//!
//! The comments that explain messages and calls stand in the `.proto` files.

/// Package `dynamo.v1`.
#[allow(missing_docs, clippy::pedantic)] // generated
pub mod v1 {
    tonic::include_proto!("dynamo.v1");
}

/// The descriptors of all files, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
