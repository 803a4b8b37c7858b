//! Large messages in parts: cut by the sender, put together by the receiver. Pure.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use dynamo_proto::v1::Part;

use super::room::Held;

/// A message above this, in bytes, travels in parts.
pub const WHOLE: usize = 1 << 20;
/// Bytes of one part.
pub const PART: usize = 512 << 10;
/// Bytes that a message may have. The store takes no longer row.
pub const LONGEST: usize = 1 << 30;
/// Messages of one stream that may come at a time. A sender has fewer on their way.
const ABREAST: usize = 64;

/// A message that is being sent.
#[derive(Debug)]
pub struct Cut {
    bytes: Bytes,
    index: u32,
    sent: usize,
}

impl Cut {
    /// One that is cut now.
    pub const fn new(bytes: Bytes) -> Self {
        Self { bytes, index: 0, sent: 0 }
    }

    /// The next part, to be sent before any other of this message; the last one says so, and none follows it.
    pub fn next_part(&mut self) -> Part {
        let end = self.bytes.len().min(self.sent.saturating_add(PART));
        let total = if self.index == 0 { self.bytes.len() as u64 } else { 0 };
        let last = end == self.bytes.len();
        let part =
            Part { index: self.index, total, data: self.bytes.slice(self.sent..end), last, void: false };
        self.sent = end;
        self.index += 1;
        part
    }

    /// What is sent in the place of the next part when nobody waits for the message any longer; nothing if the other end
    /// has not heard of it.
    pub fn void(&self) -> Option<Part> {
        (self.index > 0).then(|| Part { index: self.index, void: true, ..Part::default() })
    }
}

/// What has come of a message with a part of it.
#[derive(Debug)]
pub enum Came {
    /// More is to come.
    More,
    /// All of it, in the room that it was given.
    Whole(Bytes, Held),
    /// There is no room for so many bytes. What else comes of it is thrown away.
    NoRoom(usize),
    /// Nobody waits for it: refused before, given up by either end.
    Nobody,
}

/// A part that cannot be. Only a fault of one of the two programs makes one; the stream has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// A part is missing, or came twice.
    #[error("part {came} of a message came where part {due} was due")]
    OutOfOrder {
        /// Its place.
        came: u32,
        /// The place of the one that was to come.
        due: u32,
    },
    /// The message begins with a size that no message has.
    #[error("a message of {0} bytes; the longest has {LONGEST}")]
    TooLong(u64),
    /// It has more bytes, or fewer, than it said.
    #[error("a message of {said} bytes has {came}")]
    Length {
        /// As the first part said.
        said: usize,
        /// As they came.
        came: usize,
    },
    /// More messages at a time than any sender sends.
    #[error("more than {ABREAST} messages come in parts at a time")]
    TooMany,
}

#[derive(Debug)]
struct Partial {
    bytes: Vec<u8>,
    total: usize,
    next: u32,
    held: Held,
}

/// The messages that are coming on one stream, by their ids.
#[derive(Debug, Default)]
pub struct Assembler {
    coming: BTreeMap<u64, Partial>,
}

impl Assembler {
    /// Takes a part. `room` is asked once for each message, for the bytes that it says it has.
    pub fn part(
        &mut self,
        id: u64,
        part: &Part,
        room: impl FnOnce(usize) -> Option<Held>,
    ) -> Result<Came, PartError> {
        let full = self.coming.len() >= ABREAST;
        let mut partial = match self.coming.entry(id) {
            Entry::Occupied(partial) => partial,
            // What else comes of one that was refused or forgotten.
            Entry::Vacant(_) if part.index > 0 || part.void => return Ok(Came::Nobody),
            Entry::Vacant(_) if full => return Err(PartError::TooMany),
            Entry::Vacant(vacant) => {
                let total = usize::try_from(part.total).ok().filter(|total| *total <= LONGEST);
                let total = total.ok_or(PartError::TooLong(part.total))?;
                let Some(held) = room(total) else { return Ok(Came::NoRoom(total)) };
                // At once, for what is held; a growing one would take up to twice as much.
                let bytes = Vec::with_capacity(total);
                vacant.insert_entry(Partial { bytes, total, next: 0, held })
            }
        };
        if part.void {
            partial.remove();
            return Ok(Came::Nobody);
        }
        let Partial { bytes, total, next, .. } = partial.get_mut();
        if part.index != *next {
            return Err(PartError::OutOfOrder { came: part.index, due: *next });
        }
        let came = bytes.len().saturating_add(part.data.len());
        if came > *total || (part.last && came < *total) || (!part.last && part.data.is_empty()) {
            return Err(PartError::Length { said: *total, came });
        }
        bytes.extend_from_slice(&part.data);
        *next += 1;
        if !part.last {
            return Ok(Came::More);
        }
        let Partial { bytes, held, .. } = partial.remove();
        Ok(Came::Whole(bytes.into(), held))
    }

    /// Throws away what has come of a message; what else comes of it is thrown away too.
    pub fn forget(&mut self, id: u64) {
        self.coming.remove(&id);
    }

    /// Messages of which something has come.
    pub fn coming(&self) -> usize {
        self.coming.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::peer::room::Room;

    fn message(len: usize, seed: u8) -> Bytes {
        let byte = |at: usize| (at as u64).wrapping_mul(31).to_le_bytes()[1] ^ seed;
        (0..len).map(byte).collect::<Vec<_>>().into()
    }

    fn parts(bytes: &Bytes) -> Vec<Part> {
        let mut cut = Cut::new(bytes.clone());
        let mut parts = vec![cut.next_part()];
        while !parts.last().unwrap().last {
            parts.push(cut.next_part());
        }
        parts
    }

    fn whole(came: Result<Came, PartError>) -> Bytes {
        match came {
            Ok(Came::Whole(bytes, _)) => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn messages_between_each_other_come_whole_and_give_their_room_back() {
        let room = Room::new(8 << 20);
        let mut assembler = Assembler::default();
        let (a, b) = (message(2 * PART + 7, 1), message(2 * PART, 2));
        let (a_parts, b_parts) = (parts(&a), parts(&b));
        assert_eq!((a_parts.len(), b_parts.len()), (3, 2));
        assert!(a_parts.iter().chain(&b_parts).all(|part| part.data.len() <= PART));
        let mut take = |id, part: &Part| assembler.part(id, part, |bytes| room.take(bytes));
        assert!(matches!(take(1, &a_parts[0]), Ok(Came::More)));
        assert!(matches!(take(2, &b_parts[0]), Ok(Came::More)));
        assert!(matches!(take(1, &a_parts[1]), Ok(Came::More)));
        assert_eq!(whole(take(2, &b_parts[1])), b);
        assert_eq!(whole(take(1, &a_parts[2])), a);
        assert_eq!((assembler.coming(), room.held()), (0, 0));
    }

    #[test]
    fn what_finds_no_room_is_refused_once_and_then_thrown_away() {
        let room = Room::new(3 * PART);
        let mut assembler = Assembler::default();
        let first = parts(&message(2 * PART, 1));
        let second = parts(&message(3 * PART, 2));
        let mut take = |id, part: &Part| assembler.part(id, part, |bytes| room.take(bytes)).unwrap();
        assert!(matches!(take(1, &first[0]), Came::More));
        assert!(matches!(take(2, &second[0]), Came::NoRoom(bytes) if bytes == 3 * PART));
        assert!(second[1..].iter().all(|part| matches!(take(2, part), Came::Nobody)));
        assert!(matches!(take(1, &first[1]), Came::Whole(..)));
        // Alone it comes through, though it is larger than all the room.
        let huge = message(9 * PART, 3);
        let parts = parts(&huge);
        let (last, rest) = parts.split_last().unwrap();
        assert!(rest.iter().all(|part| matches!(take(3, part), Came::More)));
        assert!(matches!(take(3, last), Came::Whole(bytes, _) if bytes == huge));
    }

    #[test]
    fn one_that_is_given_up_by_either_end_leaves_nothing_behind() {
        let room = Room::new(8 << 20);
        let mut assembler = Assembler::default();
        let bytes = message(3 * PART, 1);
        let mut cut = Cut::new(bytes.clone());
        assert_eq!(cut.void(), None, "nobody has heard of it");
        let mut take = |part: Part| assembler.part(1, &part, |bytes| room.take(bytes)).unwrap();
        assert!(matches!(take(cut.next_part()), Came::More));
        assert!(matches!(take(cut.void().unwrap()), Came::Nobody));
        assert_eq!(room.held(), 0);
        assert!(matches!(take(cut.next_part()), Came::Nobody));
        // Begun once more, and forgotten by the receiver.
        let parts = parts(&bytes);
        assert!(matches!(take(parts[0].clone()), Came::More));
        assembler.forget(1);
        assert_eq!((assembler.coming(), room.held()), (0, 0));
        assert!(matches!(assembler.part(1, &parts[1], |_| None), Ok(Came::Nobody)));
    }

    #[test]
    fn parts_that_cannot_be_end_the_stream() {
        let room = Room::new(8 << 20);
        let parts = parts(&message(3 * PART, 1));
        let after_first = |part: Part| {
            let mut assembler = Assembler::default();
            assembler.part(1, &parts[0], |bytes| room.take(bytes)).unwrap();
            assembler.part(1, &part, |bytes| room.take(bytes)).unwrap_err()
        };
        assert_eq!(after_first(parts[2].clone()), PartError::OutOfOrder { came: 2, due: 1 });
        assert_eq!(after_first(parts[0].clone()), PartError::OutOfOrder { came: 0, due: 1 });
        let (said, came) = (3 * PART, 2 * PART);
        let early = Part { last: true, ..parts[1].clone() };
        assert_eq!(after_first(early), PartError::Length { said, came });
        let long = Part { data: vec![0; said].into(), ..parts[1].clone() };
        assert_eq!(after_first(long), PartError::Length { said, came: said + PART });
        let mut assembler = Assembler::default();
        let lie = Part { total: u64::MAX, ..parts[0].clone() };
        let refused = assembler.part(1, &lie, |bytes| room.take(bytes)).unwrap_err();
        assert_eq!(refused, PartError::TooLong(u64::MAX));
        for id in 0..ABREAST as u64 {
            let small = Part { total: 2, data: Bytes::from_static(b"x"), ..Part::default() };
            assert!(matches!(assembler.part(id, &small, |bytes| room.take(bytes)), Ok(Came::More)));
        }
        let more = assembler.part(99, &parts[0], |bytes| room.take(bytes)).unwrap_err();
        assert_eq!(more, PartError::TooMany);
    }

    proptest! {
        #[test]
        fn any_message_comes_as_it_was(len in 0usize..4 * PART, seed: u8) {
            let (bytes, room) = (message(len, seed), Room::new(1));
            let mut assembler = Assembler::default();
            let mut came = Vec::new();
            for part in parts(&bytes) {
                if let Came::Whole(bytes, _) = assembler.part(1, &part, |bytes| room.take(bytes)).unwrap() {
                    came.push(bytes);
                }
            }
            prop_assert_eq!(came, [bytes]);
        }

        #[test]
        fn no_parts_make_it_panic(
            parts in prop::collection::vec((0u64..3, 0u32..4, 0u64..10, 0usize..6, any::<(bool, bool)>()), 0..20),
        ) {
            let (mut assembler, room) = (Assembler::default(), Room::new(1 << 20));
            for (id, index, total, len, (last, void)) in parts {
                let part = Part { index, total, data: vec![0; len].into(), last, void };
                let _ = assembler.part(id, &part, |bytes| room.take(bytes));
            }
        }
    }
}
