//! Memory for large messages: what this node holds of them at a time while they come in parts, or wait to be sent as
//! answers. What finds no room is refused at once and may be tried again; memory does not grow with it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one permit: a semaphore counts in u32, memory does not fit.
const UNIT: usize = 1024;

/// The room of one node. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Room {
    bytes: usize,
    units: Arc<Semaphore>,
}

/// Room that is taken; dropping it gives it back.
#[derive(Debug)]
#[must_use = "dropping it gives the room back"]
pub struct Held {
    _units: OwnedSemaphorePermit,
}

impl Room {
    /// Bytes that are held by default.
    pub const BYTES: usize = 256 << 20;

    /// Room for so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { bytes, units: Arc::new(Semaphore::new(all_units(bytes))) }
    }

    /// How much it is.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that are held now.
    pub fn held(&self) -> usize {
        all_units(self.bytes).saturating_sub(self.units.available_permits()) * UNIT
    }

    /// Room for a message of so many bytes, or nothing. One that is larger than all of it takes all of it, so it comes
    /// through alone.
    pub fn take(&self, bytes: usize) -> Option<Held> {
        let units = Arc::clone(&self.units).try_acquire_many_owned(self.units_of(bytes));
        units.ok().map(|units| Held { _units: units })
    }

    /// The same, as soon as there is room. For a sender that waits along.
    pub async fn wait(&self, bytes: usize) -> Option<Held> {
        // Fails only if the semaphore is closed, which nobody does.
        let units = Arc::clone(&self.units).acquire_many_owned(self.units_of(bytes)).await;
        units.ok().map(|units| Held { _units: units })
    }

    fn units_of(&self, bytes: usize) -> u32 {
        u32::try_from((bytes / UNIT + 1).min(all_units(self.bytes))).unwrap_or(u32::MAX)
    }
}

/// Units of a room of so many bytes.
fn all_units(bytes: usize) -> usize {
    (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize))
}

impl Default for Room {
    fn default() -> Self {
        Self::new(Self::BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_finds_no_room_is_refused_and_one_that_is_larger_than_all_goes_alone() {
        let room = Room::new(10 * UNIT);
        let first = room.take(4 * UNIT).unwrap();
        assert_eq!(room.held(), 5 * UNIT);
        assert!(room.take(100 * UNIT).is_none(), "not beside another");
        drop(first);
        let alone = room.take(100 * UNIT).unwrap();
        assert_eq!(room.held(), 10 * UNIT);
        assert!(room.take(1).is_none());
        let waiting = tokio::spawn({
            let room = room.clone();
            async move { room.wait(1).await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(alone);
        assert!(waiting.await.unwrap());
        assert_eq!(room.held(), 0);
    }
}
