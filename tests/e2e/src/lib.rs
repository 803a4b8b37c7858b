//! The demo and the end-to-end scenarios: a real Kubernetes, the operator's chart, a store, load pods, and a judge.
//!
//! From the bottom: [`shell`] runs programs; [`door`] is the way to whichever Kubernetes; [`stage`] puts operator and
//! store on it; [`load`] runs writers and readers as pods; [`sentinel`] and [`watch`] see that nothing goes before its
//! proof; [`screen`] and [`verdict`] tell a person. The programs are `demo` and `e2e`.

pub mod door;
pub mod screen;
pub mod sentinel;
pub mod shell;
pub mod verdict;
pub mod watch;
