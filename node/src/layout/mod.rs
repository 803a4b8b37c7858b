//! What this node goes by: the layout record it has taken, and what follows from it here.
//!
//! Taking a record has a fixed order, and every arrow survives a crash:
//!
//! ```text
//! offered -> may it be taken? -> stored, with what stays held -> published: requests now begin under it
//!         -> what neither S nor an unbroken chain of targets gives is dropped, then what T gives is held
//!         -> requests begun under an older record have ended -> acknowledged
//! ```
//!
//! A promise (the freeze) is nothing but the stored record: [`dynamo_ring::fence::may_take`] reads it there.
//!
//! | module | what it says |
//! |---|---|
//! | [`state`] | the pure machine: events in, effects out |
//! | [`facts`] | what of it is on disk, and how it is found again |
//! | [`standing`] | what everybody else sees of it |
//! | [`handle`] | [`Layouts`], the way to it; guards of running requests |
//! | [`keeper`] | the driver: one task that performs the effects |
//! | [`refusal`] | why a record is not taken, why a node does not retire |

pub mod facts;
pub mod handle;
pub mod keeper;
pub mod refusal;
pub mod standing;
pub mod state;

pub use handle::{Entered, Layouts, Taken};
pub use keeper::Keeper;
pub use refusal::{NotRetired, Refusal};
pub use standing::{Duty, Standing};
