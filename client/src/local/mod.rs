//! A cluster of processes on this machine: for a first look, and for tests.
//!
//! | module | what it is for |
//! |---|---|
//! | [`site`] | where a node runs |
//! | [`process`] | one `dynamo-node` process |
//! | [`binary`] | where the program is |
//! | [`supervise`] | which processes, and which layout, a wanted size asks for. Pure |
//! | [`cluster`] | performs that |

pub mod binary;
pub mod cluster;
pub mod process;
pub mod site;
pub mod supervise;

pub use cluster::LocalCluster;
pub use process::{NodeProcess, Place};
pub use site::Site;
