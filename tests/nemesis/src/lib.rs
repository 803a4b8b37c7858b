//! A local cluster of real processes under faults, and the checker's verdict on what its clients saw.
//!
//! | module | what it is for |
//! |---|---|
//! | [`ground`] | namespaces, a network and a disk for each node |
//! | [`scene`] | the nodes on their ground |
//! | [`prove`] | shows that the faults are faults |
//! | [`workload`] | clients that go on |
//! | [`record`] | writes their history down while it happens |
//! | [`fault`] | what goes wrong, when, and how it ends |
//! | [`round`] | all of it, to a verdict |

pub mod fault;
pub mod ground;
pub mod prove;
pub mod record;
pub mod round;
pub mod scene;
pub mod workload;
