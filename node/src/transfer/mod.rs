//! Moving data with the layout: copying what a target gives this node, handing over what a commit took from it.
//!
//! | module | what it says |
//! |---|---|
//! | [`facts`] | how far each partition has been copied, as it lies on disk |
//! | [`purge`] | dropping what is no longer this node's |

pub mod facts;
pub mod purge;
