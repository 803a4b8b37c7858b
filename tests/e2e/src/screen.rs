//! The demo's one screen: a picture of the move, drawn in place on a terminal and as plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// What one drawing shows. All counts are as of now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Picture {
    /// What is being done, in a few words.
    pub title: String,
    /// Phase of the store, as its status has it.
    pub phase: String,
    /// Members ready and wanted.
    pub members: String,
    /// Partitions synced, and to be synced.
    pub partitions: (u32, u32),
    /// Bytes moved, and to be moved.
    pub bytes: (u64, u64),
    /// Client operations a second, writes and reads.
    pub throughput: (f64, f64),
    /// The latest second's p99 of writes and of reads, in microseconds.
    pub p99_micros: (u64, u64),
    /// Writes acknowledged since the load began.
    pub acknowledged: u64,
    /// Requests that failed in the client's eyes, since the load began.
    pub failed: u64,
    /// Retries inside the client, since the load began.
    pub retries: u64,
}

impl Picture {
    /// The picture as lines, at most 100 columns wide.
    pub fn lines(&self) -> Vec<String> {
        let (done, all) = self.partitions;
        let (moved, total) = self.bytes;
        vec![
            format!("{:<34} phase {:<12} members {}", self.title, self.phase, self.members),
            format!(
                "  partitions {} {done:>4}/{all:<4}  moved {}/{}",
                bar(done, all),
                human(moved),
                human(total)
            ),
            format!(
                "  writes {:>6.0}/s p99 {:>6.1} ms   reads {:>6.0}/s p99 {:>6.1} ms",
                self.throughput.0,
                millis(self.p99_micros.0),
                self.throughput.1,
                millis(self.p99_micros.1)
            ),
            format!(
                "  acknowledged {:>9}   failed {}   retries {}",
                self.acknowledged, self.failed, self.retries
            ),
        ]
    }

    fn one_line(&self) -> String {
        self.lines().join(" |").split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// `[#####.....]` of twenty-four places.
fn bar(done: u32, all: u32) -> String {
    const WIDTH: usize = 24;
    let filled = (done as usize * WIDTH).checked_div(all as usize).unwrap_or(0).min(WIDTH);
    format!("[{}{}]", "#".repeat(filled), ".".repeat(WIDTH - filled))
}

#[allow(clippy::cast_precision_loss)] // for people's eyes
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// Bytes in binary units with one decimal.
#[allow(clippy::cast_precision_loss)] // for people's eyes
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes}B") } else { format!("{value:.1}{}", UNITS[unit]) }
}

/// Draws pictures, one over the other on a terminal; elsewhere a line every two seconds, so that a log stays short.
#[derive(Debug)]
pub struct Screen {
    terminal: bool,
    drawn: usize,
    last: Option<Instant>,
}

impl Screen {
    /// For standard output, whatever it is.
    pub fn new() -> Self {
        Self { terminal: std::io::stdout().is_terminal(), drawn: 0, last: None }
    }

    /// Shows `picture`.
    pub fn draw(&mut self, picture: &Picture) {
        let mut out = std::io::stdout().lock();
        // What cannot be shown is no reason to stop the run: the verdict goes to a file too.
        if self.terminal {
            if self.drawn > 0 {
                let _ = write!(out, "\x1b[{}A", self.drawn);
            }
            let lines = picture.lines();
            self.drawn = lines.len();
            for line in lines {
                let _ = writeln!(out, "\x1b[2K{line}");
            }
        } else if self.last.is_none_or(|at| at.elapsed() >= Duration::from_secs(2)) {
            self.last = Some(Instant::now());
            let _ = writeln!(out, "{}", picture.one_line());
        }
        let _ = out.flush();
    }

    /// Prints a line that stays, below what is drawn.
    pub fn say(&mut self, line: &str) {
        self.drawn = 0;
        println!("{line}");
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_never_overflows() {
        assert_eq!(bar(0, 0), format!("[{}]", ".".repeat(24)));
        assert_eq!(bar(9, 4), format!("[{}]", "#".repeat(24)));
        assert_eq!(bar(2, 4).matches('#').count(), 12);
    }

    #[test]
    fn bytes_read_as_people_write_them() {
        assert_eq!(human(512), "512B");
        assert_eq!(human(1536), "1.5KiB");
        assert_eq!(human(50 << 20), "50.0MiB");
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let picture =
            Picture { title: "3 -> 5 members".into(), phase: "Rebalancing".into(), ..Picture::default() };
        assert!(picture.lines().iter().all(|line| line.chars().count() <= 100));
    }
}
