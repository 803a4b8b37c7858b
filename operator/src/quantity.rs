//! Quantities as Kubernetes writes them: `500m`, `10Gi`. One quantity has many spellings, and the API server answers in
//! its own.

/// Thousandths of a unit. Nothing for a text that is none, or one that is too large to count.
pub fn milli(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let scale: i128 = match suffix {
        "m" => 1,
        "" => 1_000,
        "k" => 1_000_000,
        "M" => 10_i128.pow(9),
        "G" => 10_i128.pow(12),
        "T" => 10_i128.pow(15),
        "P" => 10_i128.pow(18),
        "Ki" => 1_000 << 10,
        "Mi" => 1_000 << 20,
        "Gi" => 1_000 << 30,
        "Ti" => 1_000 << 40,
        "Pi" => 1_000 << 50,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 {
        return None;
    }
    let units: i128 = whole.parse().ok()?;
    let parts: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let of = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    units.checked_mul(scale)?.checked_add(parts.checked_mul(scale)? / of)
}

/// Whole units, such as bytes.
pub fn units(text: &str) -> Option<u64> {
    u64::try_from(milli(text)? / 1_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_quantity_has_many_spellings() {
        assert_eq!(milli("0.5"), milli("500m"));
        assert_eq!(milli("1024Mi"), milli("1Gi"));
        assert_eq!(units("50Mi"), Some(50 << 20));
        assert_ne!(milli("1G"), milli("1Gi"));
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for bad in ["", "Gi", "-1", "1Xi", "1.2.3", ".5", "1e3", "99999999999999999999999999999999999999Pi"] {
            assert_eq!(milli(bad), None, "{bad}");
        }
    }
}
