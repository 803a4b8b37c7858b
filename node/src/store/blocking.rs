//! Reading the store off the threads that serve requests.
//!
//! A runtime of several threads has threads that may wait for a disk; a runtime of one, as a simulation uses it, has a
//! store in memory and no order of its own to lose: there the read is done in place, so that a run is the same each time.

use tokio::runtime::{Handle, RuntimeFlavor};

use super::error::StoreError;

/// Does `work` on a thread that may block. `None` if that thread panicked, or the runtime is going down.
pub async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    if matches!(Handle::current().runtime_flavor(), RuntimeFlavor::CurrentThread) {
        return Some(work());
    }
    tokio::task::spawn_blocking(work).await.ok()
}

/// Reads the store on a thread that may block.
pub async fn blocking<T, E>(read: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    match off_thread(read).await {
        Some(outcome) => outcome,
        None => Err(StoreError::Io("the reading thread ended before its time".to_owned()).into()),
    }
}
