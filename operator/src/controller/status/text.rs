//! Figures as people read them, in columns.

/// `0.9GiB/1.4GiB`: both in the unit of the larger, so that they can be compared at a glance.
#[allow(clippy::cast_precision_loss)] // for people's eyes
pub(super) fn of_bytes(done: u64, all: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut most, mut unit) = (done.max(all) as f64, 0);
    while most >= 1000.0 && unit + 1 < UNITS.len() {
        most /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        return format!("{done}B/{all}B");
    }
    let size = 1024_f64.powi(i32::try_from(unit).unwrap_or(0));
    let text = |count: u64| format!("{:.1}{}", count as f64 / size, UNITS[unit]);
    format!("{}/{}", text(done), text(all))
}

/// The same before anybody knows of how much.
pub(super) fn of_unknown(done: u64) -> String {
    let all = of_bytes(done, done);
    format!("{}/?", all.split_once('/').map_or(all.as_str(), |(done, _)| done))
}

/// `12s`, `3m20s`, `2h05m`.
pub(super) fn of_seconds(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_fit_their_columns() {
        assert_eq!(of_bytes(966_367_642, 1_503_238_554), "0.9GiB/1.4GiB");
        assert_eq!(of_bytes(0, 999), "0B/999B");
        assert!(of_bytes(u64::MAX, u64::MAX).len() <= 32, "the field's maximum");
        assert_eq!([of_unknown(0), of_unknown(966_367_642)], ["0B/?", "921.6MiB/?"]);
        assert_eq!(of_seconds(12), "12s");
        assert_eq!(of_seconds(200), "3m20s");
        assert_eq!(of_seconds(7500), "2h05m");
    }
}
