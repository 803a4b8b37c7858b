//! The controller: observe -> validate -> plan -> apply -> status. The middle is pure; the ends are thin.

pub mod observed;
pub mod plan;
pub mod validate;

#[cfg(test)]
pub(crate) mod model;
