//! The figures: ratios beside their goals, as a table for people and as JSON for programs.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::error::{BenchError, io};
use crate::fleet::Moved;
use crate::load::Latency;
use crate::plain::Plain;

/// Both changes with one number of keys, and nothing beside them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sized {
    /// Keys.
    pub(crate) keys: u64,
    /// 3 -> 4.
    pub(crate) growing: Moved,
    /// What the fourth member had then, copied plainly.
    pub(crate) plain: Plain,
    /// 4 -> 3.
    pub(crate) shrinking: Moved,
}

/// Both changes under load, and what requests felt.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Felt {
    /// Requests a second.
    pub(crate) rate: u32,
    /// With three members and nothing beside.
    pub(crate) before: Latency,
    /// During 3 -> 4.
    pub(crate) growing: (Moved, Latency),
    /// With four members and nothing beside.
    pub(crate) between: Latency,
    /// During 4 -> 3.
    pub(crate) shrinking: (Moved, Latency),
}

/// One ratio, and its goal.
#[derive(Debug, Clone, Serialize)]
struct Ratio {
    what: &'static str,
    value: f64,
    goal: f64,
    met: bool,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    value_bytes: usize,
    partitions: u16,
    build: &'static str,
    ratios: Vec<Ratio>,
    small: Sized,
    large: Sized,
    /// Nothing until the changes under load are over.
    felt: Option<Felt>,
}

fn ratio(what: &'static str, value: f64, goal: f64) -> Ratio {
    Ratio { what, value, goal, met: value <= goal }
}

impl Felt {
    fn latencies(&self) -> [(&'static str, &Latency); 4] {
        let Self { before, growing, between, shrinking, .. } = self;
        [("before", before), ("3 -> 4", &growing.1), ("between", between), ("4 -> 3", &shrinking.1)]
    }
}

#[allow(clippy::cast_precision_loss, reason = "figures to compare")]
fn over(a: u64, b: u64) -> f64 {
    a as f64 / (b.max(1)) as f64
}

/// The most memory that any process had in both changes.
fn peak(of: &Sized) -> u64 {
    of.growing.memory.iter().chain(&of.shrinking.memory).map(|memory| memory.peak).max().unwrap_or(0)
}

impl Report {
    /// The figures without requests.
    pub(crate) fn new(value_bytes: usize, partitions: u16, small: Sized, large: Sized) -> Self {
        let wire = |moved: &Moved| over(moved.wire_bytes, moved.stored_bytes);
        // Per byte, since 3 -> 4 and 4 -> 3 do not move the same.
        let plainly = large.plain.stored_seconds / over(large.plain.bytes, 1).max(1.0);
        let time = |moved: &Moved| moved.copy_seconds / (plainly * over(moved.stored_bytes, 1)).max(1e-6);
        let grown = peak(&large).saturating_sub(peak(&small));
        let more = large.growing.stored_bytes.saturating_sub(small.growing.stored_bytes);
        let settled =
            [&small, &large].into_iter().all(|sized| sized.growing.settled && sized.shrinking.settled);
        let ratios = vec![
            ratio("changes that were not settled in time", u8::from(!settled).into(), 0.0),
            ratio("bytes on the wire over stored bytes, 3 -> 4", wire(&large.growing), 1.02),
            ratio("bytes on the wire over stored bytes, 4 -> 3", wire(&large.shrinking), 1.02),
            ratio("time of the copy over a plain copy, 3 -> 4", time(&large.growing), 1.2),
            ratio("time of the copy over a plain copy, 4 -> 3", time(&large.shrinking), 1.2),
            ratio("growth of the largest process over more bytes moved", over(grown, more), 0.1),
        ];
        let build = if cfg!(debug_assertions) { "dev" } else { "release" };
        Self { value_bytes, partitions, build, ratios, small, large, felt: None }
    }

    /// And what requests felt beside them.
    pub(crate) fn with(mut self, felt: Felt) -> Self {
        let p99 = |during: &Latency, before: &Latency| during.p99_ms / before.p99_ms.max(1e-3);
        let failed: u64 = felt.latencies().iter().map(|(_, latency)| latency.failed).sum();
        let unsettled = u8::from(!felt.growing.0.settled) + u8::from(!felt.shrinking.0.settled);
        self.ratios.extend([
            ratio("p99 during over before, 3 -> 4", p99(&felt.growing.1, &felt.before), 1.5),
            ratio("p99 during over before, 4 -> 3", p99(&felt.shrinking.1, &felt.between), 1.5),
            ratio("requests that failed", over(failed, 1), 0.0),
            ratio("changes under load that were not settled in time", unsettled.into(), 0.0),
        ]);
        self.felt = Some(felt);
        self
    }

    /// Writes them down.
    pub(crate) fn write(&self, path: &Path) -> Result<(), BenchError> {
        fs::write(path, serde_json::to_vec_pretty(self)?).map_err(io("the file of the figures"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| over(bytes, 1 << 20);
        writeln!(
            f,
            "{} keys of {} bytes, {} partitions, {} build",
            self.large.keys, self.value_bytes, self.partitions, self.build
        )?;
        for sized in [&self.small, &self.large] {
            for (change, moved) in [("3 -> 4", &sized.growing), ("4 -> 3", &sized.shrinking)] {
                writeln!(
                    f,
                    "{:>9} keys, {change}: {:.1} MiB moved, {:.1} MiB on the wire; copied in {:.2} s, settled in {:.2} s",
                    sized.keys,
                    mib(moved.stored_bytes),
                    mib(moved.wire_bytes),
                    moved.copy_seconds,
                    moved.whole_seconds
                )?;
                for memory in &moved.memory {
                    let (before, peak) = (mib(memory.before), mib(memory.peak));
                    let times = over(memory.peak, memory.before);
                    writeln!(
                        f,
                        "          node {}: {before:.0} MiB, peak {peak:.0} ({times:.2})",
                        memory.ordinal
                    )?;
                }
            }
            let Plain { bytes, wire_seconds, stored_seconds } = sized.plain;
            writeln!(
                f,
                "          plainly: {:.1} MiB in {stored_seconds:.2} s; {wire_seconds:.2} s if thrown away",
                mib(bytes)
            )?;
        }
        if let Some(felt) = &self.felt {
            for (change, moved) in [("3 -> 4", &felt.growing.0), ("4 -> 3", &felt.shrinking.0)] {
                writeln!(
                    f,
                    "under load, {change}: {:.1} MiB moved; copied in {:.1} s, settled in {:.1} s",
                    mib(moved.stored_bytes),
                    moved.copy_seconds,
                    moved.whole_seconds
                )?;
            }
            for (when, latency) in felt.latencies() {
                let Latency { requests, failed, p50_ms, p99_ms, max_ms } = latency;
                writeln!(
                    f,
                    "{} requests a second, {when}: {requests} answered, {failed} failed, p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms, max {max_ms:.1} ms",
                    felt.rate,
                )?;
            }
        }
        for Ratio { what, value, goal, met } in &self.ratios {
            writeln!(f, "{} {what}: {value:.3} (goal {goal})", if *met { "met   " } else { "missed" })?;
        }
        Ok(())
    }
}
