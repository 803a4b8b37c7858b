//! Lists and votes as they travel.

use bytes::{Bytes, BytesMut};
use dynamo_ring::Position;

use crate::store::Listed;
use crate::version::StateHash;

/// Keys of one round at most.
pub const MOST_KEYS: usize = 256;

/// A list as it travels.
pub fn keys_bytes(keys: &[Listed]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(32 * keys.len());
    for key in keys {
        bytes.extend_from_slice(&key.position.0);
        bytes.extend_from_slice(&key.hash.0);
    }
    bytes.freeze()
}

/// A list, from what came; nothing if it makes no sense or is too long.
pub fn keys(bytes: &[u8]) -> Option<Vec<Listed>> {
    let (keys, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || keys.len() > MOST_KEYS {
        return None;
    }
    let key = |bytes: &[u8; 32]| {
        let (position, hash) = bytes.split_first_chunk::<16>()?;
        Some(Listed { position: Position(*position), hash: StateHash(hash.try_into().ok()?) })
    };
    keys.iter().map(key).collect()
}

/// Places in a list as they travel.
pub fn places_numbers(places: &[usize]) -> Vec<u32> {
    places.iter().map(|at| u32::try_from(*at).unwrap_or(u32::MAX)).collect()
}

/// Places in a list, from what came. Those that are in no list are for the vote to refuse.
pub fn places(numbers: &[u32]) -> Vec<usize> {
    numbers.iter().map(|at| usize::try_from(*at).unwrap_or(usize::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_survive_the_way_and_what_is_no_list_is_refused() {
        let list: Vec<Listed> =
            (1..4).map(|n| Listed { position: Position([n; 16]), hash: StateHash([n + 100; 16]) }).collect();
        assert_eq!(keys(&keys_bytes(&list)), Some(list.clone()));
        assert_eq!(keys(&[]), Some(vec![]));
        assert_eq!(keys(&[0; 33]), None);
        assert_eq!(keys(&vec![0; 32 * (MOST_KEYS + 1)]), None);
        assert_eq!(places(&places_numbers(&[0, 7])), [0, 7]);
    }
}
