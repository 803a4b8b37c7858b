//! Keys and values as bytes.

use bytes::Bytes;
use dynamo_checker::Value;

const WORD: usize = size_of::<Value>();

/// A key's bytes, under the name of its round.
pub fn key(round: &str, key: u32) -> Bytes {
    format!("{round}-{key}").into()
}

/// A value's bytes: its number again and again, 16 bytes to 512, and now and then 16 KiB.
pub fn bytes(value: Value) -> Bytes {
    let words = if value % 50 == 49 { 2048 } else { 2 + usize::try_from(value % 63).unwrap_or(0) };
    value.to_be_bytes().repeat(words).into()
}

/// The number that a value's bytes say. What was damaged on the way reads as a number that nobody wrote.
pub fn number(bytes: &[u8]) -> Value {
    let value = bytes.first_chunk::<WORD>().map_or(Value::MAX, |word| Value::from_be_bytes(*word));
    if self::bytes(value) == bytes { value } else { Value::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_says_its_number_and_one_that_is_damaged_says_none() {
        for value in [1, 2, 49, 64, 1_000_000] {
            let whole = bytes(value);
            assert_eq!(number(&whole), value);
            for at in [0, whole.len() / 2, whole.len() - 1] {
                let mut damaged = whole.to_vec();
                damaged[at] ^= 1;
                assert_eq!(number(&damaged), Value::MAX, "{value}, byte {at}");
            }
            assert_eq!(number(&whole[..whole.len() - 1]), Value::MAX);
        }
        assert_eq!(number(b""), Value::MAX);
    }
}
