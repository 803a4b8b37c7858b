//! Write ids of the last minutes, whose versions may have been superseded meanwhile.
//!
//! A retry whose first attempt still stands among the key's versions is found there. One whose version has been
//! replaced since would otherwise make a second version, which brings the old value back beside the new one. So would one
//! whose key was deleted and reaped since, when nothing of the key is left to show it: that is remembered here too.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dynamo_ring::Position;
use tokio::time::Instant;

use crate::version::{Dot, WriteId};

/// How long a write is remembered. Retries come within seconds.
const KEPT: Duration = Duration::from_mins(10);

/// How many are remembered at most: some 10 MB. Beyond it the oldest is forgotten first.
const MOST: usize = 100_000;

type Name = (Position, WriteId);

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its event.
    pub dot: Dot,
    /// The key was to be reaped since: every holder covered the write, and forgot the key.
    pub reaped: bool,
}

#[derive(Debug, Default)]
struct Inner {
    writes: BTreeMap<Name, Known>,
    /// The same, the oldest first.
    ages: VecDeque<(Instant, Name)>,
}

/// The writes that this node has coordinated of late. Not on disk: a restart forgets them.
#[derive(Debug, Default)]
pub struct Remembered {
    inner: Mutex<Inner>,
}

impl Remembered {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The write to the key at `position` that the client named `id`, if this node coordinated it of late.
    pub fn known(&self, position: Position, id: WriteId, now: Instant) -> Option<Known> {
        let mut inner = self.lock();
        inner.forget(now, MOST);
        inner.writes.get(&(position, id)).copied()
    }

    /// Remembers a write.
    pub fn note(&self, position: Position, id: WriteId, dot: Dot, now: Instant) {
        let mut inner = self.lock();
        inner.forget(now, MOST - 1);
        if inner.writes.insert((position, id), Known { dot, reaped: false }).is_none() {
            inner.ages.push_back((now, (position, id)));
        }
    }

    /// The key at `position` is about to be reaped: every holder covers all its writes up to now.
    pub fn reaping(&self, position: Position) {
        let all = (position, WriteId([0; 16]))..=(position, WriteId([u8::MAX; 16]));
        for (_, known) in self.lock().writes.range_mut(all) {
            known.reaped = true;
        }
    }
}

impl Inner {
    fn forget(&mut self, now: Instant, most: usize) {
        while let Some((noted, name)) = self.ages.front()
            && (self.ages.len() > most || now.saturating_duration_since(*noted) >= KEPT)
        {
            self.writes.remove(name);
            self.ages.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::{ActorId, Birth, Writer};

    fn dot(counter: u64) -> Dot {
        Dot { writer: Writer { actor: ActorId(1), birth: Birth(1) }, counter }
    }

    #[test]
    fn a_write_is_known_by_key_and_id_for_ten_minutes() {
        let (remembered, now) = (Remembered::default(), Instant::now());
        let (here, there) = (Position([1; 16]), Position([2; 16]));
        remembered.note(here, WriteId([7; 16]), dot(3), now);
        assert_eq!(
            remembered.known(here, WriteId([7; 16]), now + KEPT / 2),
            Some(Known { dot: dot(3), reaped: false })
        );
        assert_eq!(remembered.known(there, WriteId([7; 16]), now), None);
        assert_eq!(remembered.known(here, WriteId([8; 16]), now), None);
        assert_eq!(remembered.known(here, WriteId([7; 16]), now + KEPT), None);
    }

    #[test]
    fn a_reaped_key_is_remembered_with_its_writes_and_a_later_write_is_not() {
        let (remembered, now) = (Remembered::default(), Instant::now());
        let (here, there) = (Position([1; 16]), Position([2; 16]));
        for (position, id) in [(here, 0), (here, 255), (there, 0)] {
            remembered.note(position, WriteId([id; 16]), dot(1), now);
        }
        remembered.reaping(here);
        remembered.note(here, WriteId([7; 16]), dot(2), now);
        let reaped = |position, id| remembered.known(position, WriteId([id; 16]), now).unwrap().reaped;
        assert!(reaped(here, 0) && reaped(here, 255));
        assert!(!reaped(here, 7) && !reaped(there, 0));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let (remembered, now) = (Remembered::default(), Instant::now());
        let name = |i: usize| Position((i as u128).to_be_bytes());
        for i in 0..=MOST {
            remembered.note(name(i), WriteId([0; 16]), dot(1), now);
        }
        assert_eq!(remembered.known(name(0), WriteId([0; 16]), now), None);
        assert_eq!(
            remembered.known(name(1), WriteId([0; 16]), now),
            Some(Known { dot: dot(1), reaped: false })
        );
        assert_eq!(remembered.lock().ages.len(), MOST);
    }
}
