//! Keys and values as they are given on a command line.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::args::KeyArg;
use crate::fail::Fail;

/// The longest key, in bytes.
const LONGEST: usize = 4096;

/// The key's bytes.
pub(crate) fn key(given: &KeyArg) -> Result<Vec<u8>, Fail> {
    let bytes = if given.hex {
        unhex(&given.text)
            .ok_or_else(|| Fail::usage(format!("`{}` is not an even number of hex digits", given.text)))?
    } else if given.base64 {
        STANDARD
            .decode(&given.text)
            .map_err(|e| Fail::usage(format!("`{}` is not base64: {e}", given.text)))?
    } else {
        given.text.clone().into_bytes()
    };
    match bytes.len() {
        1..=LONGEST => Ok(bytes),
        length => Err(Fail::usage(format!("the key has {length} bytes; 1 to {LONGEST} are possible"))),
    }
}

/// The value: the text itself, `@FILE`, or `-` for standard input. A value that begins with @ or is a lone - comes from
/// a file.
pub(crate) fn value(given: &str) -> Result<Vec<u8>, Fail> {
    let failed = |e: std::io::Error| Fail::usage(format!("the value {given} cannot be read: {e}"));
    match given.strip_prefix('@') {
        Some(file) => std::fs::read(file).map_err(failed),
        None if given == "-" => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map_err(failed)?;
            Ok(bytes)
        }
        None => Ok(given.as_bytes().to_vec()),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str, hex: bool, base64: bool) -> Result<Vec<u8>, Fail> {
        key(&KeyArg { text: text.into(), hex, base64 })
    }

    #[test]
    fn a_key_is_text_hex_or_base64() {
        assert_eq!(given("00ff", false, false).unwrap(), b"00ff");
        assert_eq!(given("00Ff", true, false).unwrap(), [0, 255]);
        assert_eq!(given("AP8=", false, true).unwrap(), [0, 255]);
        for (text, hex, base64) in
            [("0", true, false), ("0g", true, false), ("é", true, false), ("!", false, true)]
        {
            assert!(given(text, hex, base64).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_of_an_impossible_length_is_refused_with_the_limit() {
        assert!(given("", false, false).is_err());
        assert!(given(&"k".repeat(4096), false, false).is_ok());
        let refused = given(&"k".repeat(4097), false, false).unwrap_err();
        assert!(refused.message.contains("4097") && refused.message.contains("4096"), "{}", refused.message);
    }

    #[test]
    fn a_value_is_text_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v");
        std::fs::write(&path, b"from a file").unwrap();
        assert_eq!(value("text").unwrap(), b"text");
        assert_eq!(value(&format!("@{}", path.display())).unwrap(), b"from a file");
        assert!(value("@/nowhere/v").unwrap_err().message.contains("/nowhere/v"));
    }
}
