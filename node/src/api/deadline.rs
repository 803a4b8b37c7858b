//! How long a client waits: its own `grpc-timeout`, and never longer than this node's cap.

use std::time::Duration;

use tonic::metadata::MetadataMap;

/// The part of a client's time that is kept back, so that "too few answered, this many" reaches it before it gives up.
const KEPT_BACK: u32 = 20;
const KEPT_BACK_AT_MOST: Duration = Duration::from_millis(50);

/// How long a request with this metadata may take.
pub fn within(metadata: &MetadataMap, cap: Duration) -> Duration {
    granted(asked(metadata), cap)
}

/// How long the client with this metadata waits, if it says so.
pub fn asked(metadata: &MetadataMap) -> Option<Duration> {
    metadata.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(parse)
}

/// What a client is given that waits for `asked`.
pub fn granted(asked: Option<Duration>, cap: Duration) -> Duration {
    asked.map_or(cap, |asked| in_time(asked).min(cap))
}

/// What of a caller's time is used, so that an answer still reaches it.
pub fn in_time(within: Duration) -> Duration {
    within.saturating_sub((within / KEPT_BACK).min(KEPT_BACK_AT_MOST))
}

/// A timeout as gRPC over HTTP/2 writes it: up to 8 digits and a unit. What is none is as good as absent.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(n * 3600)),
        "M" => Some(Duration::from_secs(n * 60)),
        "S" => Some(Duration::from_secs(n)),
        "m" => Some(Duration::from_millis(n)),
        "u" => Some(Duration::from_micros(n)),
        "n" => Some(Duration::from_nanos(n)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        let cases = [
            ("1H", Some(3_600_000)),
            ("2M", Some(120_000)),
            ("3S", Some(3000)),
            ("250m", Some(250)),
            ("99999999m", Some(99_999_999)),
            ("5000u", Some(5)),
            ("7000000n", Some(7)),
            ("", None),
            ("S", None),
            ("1", None),
            ("+1S", None),
            ("123456789S", None),
            ("1é", None),
        ];
        for (text, ms) in cases {
            assert_eq!(parse(text), ms.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn the_cap_holds_and_a_little_is_kept_back() {
        let cap = Duration::from_secs(10);
        let with = |value: &'static str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", tonic::metadata::MetadataValue::from_static(value));
            within(&metadata, cap)
        };
        assert_eq!(within(&MetadataMap::new(), cap), cap);
        assert_eq!(with("60S"), cap);
        assert_eq!(with("2S"), Duration::from_millis(1950));
        assert_eq!(with("100m"), Duration::from_millis(95));
        assert_eq!(with("nonsense"), cap);
    }
}
