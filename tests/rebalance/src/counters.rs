//! What each process has sent and received over connections to members, and what memory it has: sampled while a change
//! goes on, and kept when a process ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What one process was last seen to have.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    wire: u64,
    rss: u64,
    /// Memory at the last cut, and the most since.
    at_cut: u64,
    peak: u64,
}

/// All processes that ever ran, by name and process id: one that starts again counts anew.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters(BTreeMap<(u16, i32), Seen>);

/// One process's memory during a change, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Memory {
    /// Which node.
    pub(crate) ordinal: u16,
    /// Resident when the change began, or when the process was first seen.
    pub(crate) before: u64,
    /// The most that was seen during the change.
    pub(crate) peak: u64,
}

impl Counters {
    /// Looks at one process. One that does not answer just now keeps what it had.
    pub(crate) async fn look(&mut self, ordinal: u16, pid: i32, http: SocketAddr) {
        let seen = self.0.entry((ordinal, pid)).or_default();
        if let Some(wire) = wire(http).await {
            seen.wire = wire;
        }
        if let Some(rss) = rss(pid) {
            if seen.rss == 0 {
                seen.at_cut = rss;
            }
            (seen.rss, seen.peak) = (rss, seen.peak.max(rss));
        }
    }

    /// Bytes over connections to members so far, of all processes together: each byte once.
    pub(crate) fn wire(&self) -> u64 {
        self.0.values().map(|seen| seen.wire).sum()
    }

    /// From now on a new change, of the processes that run now: those that have ended are no part of it.
    pub(crate) fn cut(&mut self, runs: impl Fn(u16, i32) -> bool) {
        self.0.retain(|(ordinal, pid), _| runs(*ordinal, *pid));
        for seen in self.0.values_mut() {
            (seen.at_cut, seen.peak) = (seen.rss, seen.rss);
        }
    }

    /// Memory since the last cut.
    pub(crate) fn memory(&self) -> Vec<Memory> {
        let one = |((ordinal, _), seen): (&(u16, i32), &Seen)| Memory {
            ordinal: *ordinal,
            before: seen.at_cut,
            peak: seen.peak,
        };
        self.0.iter().map(one).collect()
    }
}

/// Both figures of bytes together.
async fn wire(http: SocketAddr) -> Option<u64> {
    let text = get(http).await?;
    let figure =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    Some(figure("dynamo_peer_sent_bytes_total ")? + figure("dynamo_peer_received_bytes_total ")?)
}

async fn get(http: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(http).await.ok()?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    Some(text)
}

/// Resident memory, in bytes.
fn rss(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}
