//! A part of the time, and the rest that goes with it. Pure.

use std::time::Duration;

/// A part of the time, in 256ths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// All of it.
    pub const ALL: Self = Self(256);
    /// The least that is ever left.
    pub const FLOOR: Self = Self(4);
    /// With what work begins beside requests.
    pub const START: Self = Self(16);

    /// The nearest to this part of the time.
    pub(super) fn of(level: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 4 and 256")]
        let parts = (level * f64::from(Self::ALL.0)).round() as u32;
        Self(parts.clamp(Self::FLOOR.0, Self::ALL.0))
    }

    /// In 256ths; never 0.
    pub const fn parts(self) -> u32 {
        self.0
    }

    /// Between 0 and 1.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ALL.0)
    }

    /// How long to rest after work of this length.
    pub fn rest(self, work: Duration) -> Duration {
        work.saturating_mul(Self::ALL.0 - self.0) / self.0
    }
}
