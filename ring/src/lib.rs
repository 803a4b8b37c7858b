//! Pure placement: which member holds which partition, and how that may change.
//!
//! Everything here is a function of its arguments. There is no socket, disk, clock, random number or task, so the
//! operator, the command line, the nodes and the simulation all compute the same answer from the same facts.
//!
//! | module | what it says |
//! |---|---|
//! | [`position`] | where a key lies on the ring, and in which partition |
//! | [`id`] | the names of nodes, clusters and layouts |
//! | [`layout`] | for every partition, the ordered list of the N members that hold it |
//! | [`preference`] | whom to ask for a partition, in which order |
//! | [`plan`] | the next layout: balanced, zones apart, fewest moves |
//! | [`record`] | the one document that says how far a change of layout has come |
//! | [`view`] | what that document means for a request |
//! | [`fence`] | whose requests, and which documents, a member accepts |
//! | [`change`] | what to do next to bring a change to its end |
//!
//! The algorithm, its invariants and its figures are written down in `docs/placement.md`.

pub mod change;
pub mod fence;
pub mod id;
pub mod layout;
pub mod plan;
pub mod position;
pub mod preference;
pub mod record;
pub mod view;

pub use id::{ClusterId, LayoutHash, LayoutId, NodeId};
pub use layout::{Layout, LayoutError, MAX_WEIGHT, Member};
pub use plan::{Move, PlanError};
pub use position::{Partition, Partitions, Position};
pub use preference::PreferenceList;
pub use record::{Fate, Named, Quorum, Record, Stamp, Step, Target};
pub use view::View;
