//! How bytes, numbers and tables are shown to people.

use std::fmt::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Appends to a text that is being made up.
pub(crate) fn add(out: &mut String, more: fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(more);
}

/// Base64 with the usual alphabet.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        add(&mut out, format_args!("{byte:02x}"));
    }
    out
}

/// The bytes as text if they are text that a terminal shows as it is; else in base64, and marked so.
pub(crate) fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') => text.to_owned(),
        _ => format!("base64:{}", base64(bytes)),
    }
}

/// Bytes in binary units.
#[allow(clippy::cast_precision_loss)] // for people's eyes
pub(crate) fn human(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// How long ago, in one unit.
pub(crate) fn span(ms: u64) -> String {
    match ms / 1000 {
        0 => format!("{ms} ms"),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// Rows in columns as wide as their widest cell; the first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_marked() {
        assert_eq!(readable("häuser\n".as_bytes()), "häuser\n");
        assert_eq!(readable(b"\x1b[2J"), "base64:G1sySg==", "nothing that a terminal obeys");
        assert_eq!(readable(&[0xff]), "base64:/w==");
        assert_eq!(hex(&[0, 0xab]), "00ab");
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!([1023, 1536, 5 << 30].map(human), ["1023 B", "1.5 KiB", "5.0 GiB"]);
        assert_eq!([12, 90_000, 600_000, 9_000_000].map(span), ["12 ms", "90 s", "10 min", "2 h"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["A", "B"], ["long", "x"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "A     B\nlong  x\n");
    }
}
