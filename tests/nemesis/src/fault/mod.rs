//! What goes wrong, and when; and how it ends.
//!
//! | module | what it is for |
//! |---|---|
//! | [`plan`] | which faults come when. Pure |
//! | [`strike`] | performs them on a scene |
//! | [`heal`] | undoes them, and waits until the replicas are alike |

pub mod heal;
pub mod plan;
pub mod strike;

pub use plan::{Kind, Strike, plan};
