//! Load that remembers what it was told, and a verifier that asks for all of it.
//!
//! Every key is written by one task at a time, and every value says which write it is and which earlier ones its
//! context had seen. So a verifier can tell for *each* acknowledged write, and not only for the last one of a key,
//! whether it is there or was causally replaced.
//!
//! | module | what it is for |
//! |---|---|
//! | [`value`] | values that describe themselves |
//! | [`history`] | what one key must still show. Pure |
//! | [`journal`] | the file of acknowledged writes |
//! | [`workload`] | writers and readers |
//! | [`stats`] | one line of figures a second |
//! | [`verify`] | reads everything back, from the store and from each replica |
//! | [`deletes`] | deletes keys, and looks whether they stay away |
//! | [`holdings`] | stored bytes of each partition |

pub mod deletes;
pub mod history;
pub mod holdings;
pub mod journal;
pub mod stats;
pub mod value;
pub mod verify;
pub mod workload;
