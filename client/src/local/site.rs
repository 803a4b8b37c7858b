//! Where a node runs: on loopback, or with a network and a disk of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Where a node runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Where peers and clients dial it.
    pub host: IpAddr,
    /// Of gRPC.
    pub port: u16,
    /// Of metrics and probes.
    pub http_port: u16,
    /// A command in front of the node's own, which has to become the node (by exec) for its process id to be the node's:
    /// one that enters a network namespace, say. None if empty.
    pub enter: Vec<String>,
    /// A folder on a disk of its own, which the data lies under; beside the log if absent.
    pub disk: Option<PathBuf>,
}

impl Site {
    /// On loopback, with nothing of its own but the ports.
    pub const fn loopback(port: u16, http_port: u16) -> Self {
        Self { host: IpAddr::V4(Ipv4Addr::LOCALHOST), port, http_port, enter: Vec::new(), disk: None }
    }

    /// Of gRPC.
    pub const fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    /// Of metrics and probes.
    pub const fn http(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.http_port)
    }
}
