//! The controller: observe -> validate -> plan -> apply -> status. The middle is pure; the ends are thin.

pub mod apply;
pub mod drift;
mod managed;
pub mod objects;
pub mod observe;
pub mod observed;
pub mod plan;
pub mod reconcile;
pub mod risk;
pub mod run;
pub mod status;
pub mod story;
pub mod validate;
mod words;

#[cfg(test)]
pub(crate) mod model;
