//! What waits to be sent on one stream, and in which order it goes. Pure.
//!
//! Small messages go first in, first out. Large ones wait beside them, so that neither holds up the other, and each kind
//! has its own bounds. A barrier goes when all that was pushed before it has gone.

use std::collections::{BTreeMap, VecDeque};

use super::parts::WHOLE;

/// Bounds of what waits, and of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Messages that may wait.
    pub waiting: usize,
    /// Bytes that may wait: so many of small messages, and so many of large ones. A message that is larger alone is let
    /// in when no other of its kind waits.
    pub waiting_bytes: usize,
    /// Messages in one frame.
    pub frame: usize,
    /// Bytes in one frame, but for one message that is larger, and for a part of a large one beside them.
    pub frame_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { waiting: 4096, waiting_bytes: 32 << 20, frame: 256, frame_bytes: 512 << 10 }
    }
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The bound is reached.
    #[error("too much waits to be sent")]
    Full,
    /// The stream is gone.
    #[error("the stream is closed")]
    Closed,
}

/// How a message goes with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Others may pass it, and it may pass others.
    Any,
    /// Not before all that was pushed earlier.
    Barrier,
}

/// What goes next.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken<T> {
    /// In one frame.
    pub whole: Vec<T>,
    /// In parts, each with its place, under which [`Lanes::sent`] is told of it.
    pub large: Vec<(u64, T)>,
}

impl<T> Taken<T> {
    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.large.is_empty()
    }
}

#[derive(Debug)]
struct Waiting<T> {
    place: u64,
    bytes: usize,
    message: T,
}

/// Messages with their bytes.
#[derive(Debug)]
pub struct Lanes<T> {
    bounds: Bounds,
    /// The place of the next message.
    next: u64,
    small: VecDeque<Waiting<T>>,
    large: VecDeque<Waiting<T>>,
    barriers: VecDeque<Waiting<T>>,
    /// Large ones that are being sent, with the bytes that are left of them.
    sending: BTreeMap<u64, usize>,
    small_bytes: usize,
    large_bytes: usize,
}

impl<T> Lanes<T> {
    /// Empty ones.
    pub const fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            next: 0,
            small: VecDeque::new(),
            large: VecDeque::new(),
            barriers: VecDeque::new(),
            sending: BTreeMap::new(),
            small_bytes: 0,
            large_bytes: 0,
        }
    }

    /// Takes a message of so many bytes, or gives it back.
    pub fn push(&mut self, bytes: usize, order: Order, message: T) -> Result<(), T> {
        let is_large = bytes > WHOLE && order == Order::Any;
        let (waits, alone) = if is_large {
            (self.large_bytes, self.large.is_empty() && self.sending.is_empty())
        } else {
            (self.small_bytes, self.small.is_empty() && self.barriers.is_empty())
        };
        let too_much = waits.saturating_add(bytes) > self.bounds.waiting_bytes && !alone;
        if too_much || self.depth().0 >= self.bounds.waiting {
            return Err(message);
        }
        let waiting = Waiting { place: self.next, bytes, message };
        self.next += 1;
        let (lane, sum) = match order {
            Order::Barrier => (&mut self.barriers, &mut self.small_bytes),
            Order::Any if is_large => (&mut self.large, &mut self.large_bytes),
            Order::Any => (&mut self.small, &mut self.small_bytes),
        };
        lane.push_back(waiting);
        *sum = sum.saturating_add(bytes);
        Ok(())
    }

    /// What goes next: small ones that fill a frame, and up to `places` large ones.
    pub fn take(&mut self, places: usize) -> Taken<T> {
        let (mut whole, mut bytes) = (Vec::new(), 0usize);
        while whole.len() < self.bounds.frame
            && let Some(Waiting { bytes: more, .. }) = self.small.front()
            && (whole.is_empty() || bytes.saturating_add(*more) <= self.bounds.frame_bytes)
            && let Some(waiting) = self.small.pop_front()
        {
            bytes = bytes.saturating_add(waiting.bytes);
            self.small_bytes = self.small_bytes.saturating_sub(waiting.bytes);
            whole.push(waiting.message);
        }
        while let Some(barrier) = self.barriers.pop_front_if(|barrier| {
            let first = |lane: &VecDeque<Waiting<T>>| lane.front().map(|waiting| waiting.place);
            let sending = self.sending.first_key_value().map(|(place, _)| *place);
            let earlier = [first(&self.small), first(&self.large), sending];
            earlier.into_iter().flatten().all(|place| place > barrier.place)
        }) {
            self.small_bytes = self.small_bytes.saturating_sub(barrier.bytes);
            whole.push(barrier.message);
        }
        let mut large = Vec::new();
        while large.len() < places
            && let Some(waiting) = self.large.pop_front()
        {
            self.sending.insert(waiting.place, waiting.bytes);
            large.push((waiting.place, waiting.message));
        }
        Taken { whole, large }
    }

    /// So many bytes of a large message have gone.
    pub fn sent(&mut self, place: u64, bytes: usize) {
        if let Some(left) = self.sending.get_mut(&place) {
            let gone = bytes.min(*left);
            *left -= gone;
            self.large_bytes = self.large_bytes.saturating_sub(gone);
        }
    }

    /// Nothing more of a large message goes.
    pub fn ended(&mut self, place: u64) {
        if let Some(left) = self.sending.remove(&place) {
            self.large_bytes = self.large_bytes.saturating_sub(left);
        }
    }

    /// Messages and bytes that wait, or are being sent.
    pub fn depth(&self) -> (usize, usize) {
        let messages = self.small.len() + self.large.len() + self.barriers.len() + self.sending.len();
        (messages, self.small_bytes.saturating_add(self.large_bytes))
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty() && self.barriers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = WHOLE + 1;

    fn lanes(waiting_bytes: usize) -> Lanes<u8> {
        Lanes::new(Bounds { waiting: 5, waiting_bytes, frame: 2, frame_bytes: 6 })
    }

    fn taken(whole: &[u8], large: &[(u64, u8)]) -> Taken<u8> {
        Taken { whole: whole.to_vec(), large: large.to_vec() }
    }

    #[test]
    fn each_kind_is_bounded_by_itself_and_neither_holds_up_the_other() {
        let mut lanes = lanes(10);
        assert_eq!(lanes.push(100, Order::Any, 1), Ok(()), "one that is too large for any lane goes alone");
        assert_eq!(lanes.push(1, Order::Any, 2), Err(2));
        assert_eq!(lanes.push(LARGE, Order::Any, 3), Ok(()), "the other kind is not full");
        assert_eq!(lanes.push(LARGE, Order::Any, 4), Err(4));
        assert_eq!(lanes.depth(), (2, 100 + LARGE));
        assert_eq!(lanes.take(1), taken(&[1], &[(1, 3)]));
        assert_eq!(lanes.push(LARGE, Order::Any, 4), Err(4), "it is still being sent");
        lanes.sent(1, WHOLE);
        assert_eq!(lanes.depth(), (1, 1));
        lanes.ended(1);
        assert_eq!(lanes.depth(), (0, 0));
        assert_eq!(lanes.push(LARGE, Order::Any, 4), Ok(()));
        for message in 5..9 {
            assert_eq!(lanes.push(1, Order::Any, message), Ok(()));
        }
        assert_eq!(lanes.push(0, Order::Any, 9), Err(9), "five wait");
    }

    #[test]
    fn a_frame_is_bounded_by_count_and_by_bytes() {
        let mut lanes = lanes(10);
        for (bytes, message) in [(4, 1), (3, 2), (1, 3), (1, 4)] {
            lanes.push(bytes, Order::Any, message).unwrap();
        }
        assert_eq!(lanes.take(1), taken(&[1], &[]), "4 and 3 are more than 6");
        assert_eq!(lanes.take(1), taken(&[2, 3], &[]));
        assert_eq!(lanes.take(1), taken(&[4], &[]));
        assert!(lanes.take(1).is_empty());
    }

    #[test]
    fn a_barrier_goes_when_all_before_it_have_gone_and_holds_up_nothing_behind_it() {
        let mut lanes = lanes(4 * LARGE);
        lanes.push(LARGE, Order::Any, 1).unwrap();
        lanes.push(1, Order::Barrier, 2).unwrap();
        lanes.push(1, Order::Any, 3).unwrap();
        lanes.push(LARGE, Order::Any, 4).unwrap();
        assert_eq!(lanes.take(0), taken(&[3], &[]));
        assert_eq!(lanes.take(1), taken(&[], &[(0, 1)]));
        lanes.sent(0, LARGE);
        assert_eq!(lanes.take(0), taken(&[], &[]), "its last part may not have gone yet");
        lanes.ended(0);
        assert_eq!(lanes.take(0), taken(&[2], &[]), "the later one is not waited for");
        assert_eq!(lanes.take(9), taken(&[], &[(3, 4)]));
        // Behind small ones of more than one frame.
        for message in 5..8 {
            lanes.push(1, Order::Any, message).unwrap();
        }
        lanes.push(1, Order::Barrier, 8).unwrap();
        lanes.ended(3);
        assert_eq!(lanes.take(1), taken(&[5, 6], &[]));
        assert_eq!(lanes.take(1), taken(&[7, 8], &[]));
    }
}
