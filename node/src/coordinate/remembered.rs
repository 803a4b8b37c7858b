//! Write ids of the last minutes, whose versions may have been superseded meanwhile.
//!
//! A retry whose first attempt still stands among the key's versions is found there. One whose version has been
//! replaced since would otherwise make a second version, which brings the old value back beside the new one.

use std::collections::{HashMap, VecDeque};
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

#[derive(Debug, Default)]
struct Inner {
    dots: HashMap<Name, Dot>,
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

    /// The dot of the write to the key at `position` that the client named `id`, if this node coordinated it of late.
    pub fn dot(&self, position: Position, id: WriteId, now: Instant) -> Option<Dot> {
        let mut inner = self.lock();
        inner.forget(now, MOST);
        inner.dots.get(&(position, id)).copied()
    }

    /// Remembers a write.
    pub fn note(&self, position: Position, id: WriteId, dot: Dot, now: Instant) {
        let mut inner = self.lock();
        inner.forget(now, MOST - 1);
        if inner.dots.insert((position, id), dot).is_none() {
            inner.ages.push_back((now, (position, id)));
        }
    }
}

impl Inner {
    fn forget(&mut self, now: Instant, most: usize) {
        while let Some((noted, name)) = self.ages.front()
            && (self.ages.len() > most || now.saturating_duration_since(*noted) >= KEPT)
        {
            self.dots.remove(name);
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
        assert_eq!(remembered.dot(here, WriteId([7; 16]), now + KEPT / 2), Some(dot(3)));
        assert_eq!(remembered.dot(there, WriteId([7; 16]), now), None);
        assert_eq!(remembered.dot(here, WriteId([8; 16]), now), None);
        assert_eq!(remembered.dot(here, WriteId([7; 16]), now + KEPT), None);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let (remembered, now) = (Remembered::default(), Instant::now());
        let name = |i: usize| Position((i as u128).to_be_bytes());
        for i in 0..=MOST {
            remembered.note(name(i), WriteId([0; 16]), dot(1), now);
        }
        assert_eq!(remembered.dot(name(0), WriteId([0; 16]), now), None);
        assert_eq!(remembered.dot(name(1), WriteId([0; 16]), now), Some(dot(1)));
        assert_eq!(remembered.lock().ages.len(), MOST);
    }
}
