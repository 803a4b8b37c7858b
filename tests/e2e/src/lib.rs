//! The demo and the end-to-end scenarios: a real Kubernetes, the operator's chart, a store, load pods, and a judge.
//!
//! From the bottom: [`shell`] runs programs; [`door`] is the way to whichever Kubernetes; [`stage`] puts operator and
//! store on it; [`load`] and [`pods`] run writers and readers as pods; [`sentinel`] and [`watch`] see that nothing goes before its
//! proof, and with [`zones`] that replicas are kept apart; [`rehearsal`] makes one change of size and measures it; [`scenario`] holds what must hold; [`screen`] and [`verdict`] tell a person. The programs are `demo` and `e2e`.

pub mod door;
pub mod load;
pub mod pods;
pub mod rehearsal;
pub mod scenario;
pub mod screen;
pub mod sentinel;
pub mod shell;
pub mod stage;
pub mod verdict;
pub mod watch;
pub mod zones;
