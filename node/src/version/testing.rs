//! Strategies for version vectors and states, for the tests of this crate.

use bytes::Bytes;
use proptest::prelude::*;

use super::{ActorId, Birth, Dot, Sibling, State, VersionVector, WriteId, Writer};

pub(crate) fn dot(actor: u64, birth: u64, counter: u64) -> Dot {
    Dot { writer: Writer { actor: ActorId(actor), birth: Birth(birth) }, counter }
}

pub(crate) fn vector(entries: &[(u64, u64, u64)]) -> VersionVector {
    entries.iter().map(|&(actor, birth, n)| (dot(actor, birth, n).writer, n)).collect()
}

pub(crate) fn sibling(dot: Dot, value: &[u8]) -> Sibling {
    Sibling {
        dot,
        value: Some(Bytes::copy_from_slice(value)),
        write_id: None,
        written_at_ms: 0,
        expires_at_ms: None,
    }
}

pub(crate) fn dots() -> impl Strategy<Value = Dot> {
    (0u64..4, 0u64..3, 1u64..5).prop_map(|(actor, birth, counter)| dot(actor, birth, counter))
}

pub(crate) fn vectors() -> impl Strategy<Value = VersionVector> {
    prop::collection::vec(dots(), 0..6)
        .prop_map(|dots| dots.iter().map(|dot| (dot.writer, dot.counter)).collect())
}

/// Any well-formed state. A dot has one content whoever holds it, as in a history.
pub(crate) fn states() -> impl Strategy<Value = State> {
    (vectors(), prop::collection::vec(dots(), 0..5)).prop_map(|(context, dots)| {
        let siblings = dots.into_iter().map(|dot| {
            let n = dot.counter * 100 + dot.writer.birth.0 * 10 + dot.writer.actor.0;
            Sibling {
                dot,
                value: (n % 3 > 0).then(|| Bytes::from(n.to_string())),
                write_id: (n % 2 > 0).then(|| WriteId([n.to_le_bytes()[0]; 16])),
                written_at_ms: n,
                expires_at_ms: (n % 3 > 0 && n % 5 > 2).then_some(n * 7),
            }
        });
        State::from_parts(context, siblings.collect())
    })
}
