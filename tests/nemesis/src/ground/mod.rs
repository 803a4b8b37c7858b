//! What the nodes stand on: namespaces that clean up by construction, a network and a disk for each node.
//!
//! | module | what it is for |
//! |---|---|
//! | [`sandbox`] | this program again, in namespaces of its own |
//! | [`network`] | a namespace for each node, and cuts between them |
//! | [`disk`] | a small disk for each node, that can be full or stand still |
//! | [`tool`] | runs the system's own commands |

pub mod disk;
pub mod network;
pub mod sandbox;
pub mod tool;
