//! A network namespace for each node, all on one bridge, and cuts between them: a node drops what another sends.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

use super::tool::{ToolError, run, run_aside};

const BRIDGE: &str = "nemesis";
/// Of the probe's datagrams.
const PROBE_PORT: u16 = 9;

/// The network. It goes with its sandbox.
#[derive(Debug)]
pub struct Network {
    nodes: u16,
}

/// Why a cut is none.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// A command.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A socket.
    #[error("the probe's socket: {0}")]
    Io(#[from] std::io::Error),
    /// What was to arrive did not.
    #[error("what dev-{from} sends does not reach dev-{to}, though nothing is cut there")]
    Deaf {
        /// Sender.
        from: u16,
        /// Receiver.
        to: u16,
    },
    /// What was to be dropped was not.
    #[error("what dev-{from} sends still reaches dev-{to}, or is dropped elsewhere than there")]
    NotCut {
        /// Sender.
        from: u16,
        /// Receiver.
        to: u16,
    },
}

fn namespace(node: u16) -> String {
    format!("dev-{node}")
}

impl Network {
    /// Makes it for so many nodes.
    ///
    /// # Errors
    /// The command that fails.
    pub fn make(nodes: u16) -> Result<Self, ToolError> {
        let ip = |words: &str| run("ip", &words.split(' ').collect::<Vec<_>>());
        ip("link set lo up")?;
        ip(&format!("link add {BRIDGE} type bridge"))?;
        ip(&format!("addr add {}/24 dev {BRIDGE}", Ipv4Addr::new(10, 77, 0, 1)))?;
        ip(&format!("link set {BRIDGE} up"))?;
        let network = Self { nodes };
        for node in 0..nodes {
            let (name, host) = (namespace(node), network.host(node));
            ip(&format!("netns add {name}"))?;
            ip(&format!("link add veth{node} type veth peer name eth0 netns {name}"))?;
            ip(&format!("link set veth{node} master {BRIDGE} up"))?;
            ip(&format!("-n {name} addr add {host}/24 dev eth0"))?;
            ip(&format!("-n {name} link set eth0 up"))?;
            ip(&format!("-n {name} link set lo up"))?;
        }
        Ok(network)
    }

    /// Where a node is dialled.
    pub fn host(&self, node: u16) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 77, 0, 10 + u8::try_from(node % 200).unwrap_or(0)))
    }

    /// What enters a node's namespace, in front of a command.
    pub fn enter(node: u16) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net=/run/netns/{}", namespace(node))]
    }

    /// From now on `to` drops what `from` sends. Cuts add up: as many [`mend`](Self::mend)s end them.
    ///
    /// # Errors
    /// The command that fails.
    pub async fn cut(&self, from: u16, to: u16) -> Result<(), ToolError> {
        self.tables(to, &format!("-A INPUT -s {} -j DROP", self.host(from))).await.map(drop)
    }

    /// Ends a cut.
    ///
    /// # Errors
    /// The command that fails.
    pub async fn mend(&self, from: u16, to: u16) -> Result<(), ToolError> {
        self.tables(to, &format!("-D INPUT -s {} -j DROP", self.host(from))).await.map(drop)
    }

    /// Ends all cuts.
    ///
    /// # Errors
    /// The command that fails.
    pub async fn mend_all(&self) -> Result<(), ToolError> {
        for node in 0..self.nodes {
            self.tables(node, "-F INPUT").await?;
        }
        Ok(())
    }

    /// Shows that a cut cuts, in one direction and not in the other, and that it ends.
    ///
    /// # Errors
    /// What it does instead.
    pub async fn prove(&self) -> Result<(), ProofError> {
        let (a, b) = (0, 1);
        let (at_a, at_b) = (self.probe(a)?, self.probe(b)?);
        self.hears((a, &at_a), (b, &at_b)).await?;
        self.hears((b, &at_b), (a, &at_a)).await?;
        self.cut(a, b).await?;
        // The receiver counts what it drops, so that nothing has to be waited for that does not come.
        let not_cut = || ProofError::NotCut { from: a, to: b };
        let mut dropped = 0;
        for _ in 0..100 {
            at_a.send_to(b"cut", SocketAddr::new(self.host(b), PROBE_PORT)).await?;
            dropped = self.dropped(b).await?;
            if dropped > 0 {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        if dropped == 0 {
            return Err(not_cut());
        }
        let mut datagram = [0; 16];
        match at_b.try_recv_from(&mut datagram) {
            Err(why) if why.kind() == ErrorKind::WouldBlock => {}
            Err(why) => return Err(why.into()),
            Ok(_) => return Err(not_cut()),
        }
        self.hears((b, &at_b), (a, &at_a)).await?;
        self.mend(a, b).await?;
        self.hears((a, &at_a), (b, &at_b)).await
    }

    /// Sends until it arrives.
    async fn hears(&self, from: (u16, &UdpSocket), to: (u16, &UdpSocket)) -> Result<(), ProofError> {
        let mut datagram = [0; 16];
        for _ in 0..100 {
            from.1.send_to(b"heard", SocketAddr::new(self.host(to.0), PROBE_PORT)).await?;
            if timeout(Duration::from_millis(200), to.1.recv_from(&mut datagram)).await.is_ok() {
                // Nothing of it is left for the next look.
                while to.1.try_recv_from(&mut datagram).is_ok() {}
                return Ok(());
            }
        }
        Err(ProofError::Deaf { from: from.0, to: to.0 })
    }

    /// A socket in a node's namespace. It stays there: only its making needs a thread that is there.
    fn probe(&self, node: u16) -> Result<UdpSocket, std::io::Error> {
        let at = SocketAddr::new(self.host(node), PROBE_PORT);
        let make = move || {
            let namespace = File::open(format!("/run/netns/{}", namespace(node)))?;
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            std::net::UdpSocket::bind(at)
        };
        let socket = std::thread::spawn(make).join();
        let socket = socket.unwrap_or_else(|_| Err(std::io::Error::other("the probe's thread")))?;
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket)
    }

    /// Packets that a node's first rule has dropped.
    async fn dropped(&self, node: u16) -> Result<u64, ToolError> {
        let table = self.tables(node, "-nvxL INPUT").await?;
        let count = table.lines().nth(2).and_then(|line| line.split_whitespace().next()?.parse().ok());
        Ok(count.unwrap_or(0))
    }

    async fn tables(&self, node: u16, rule: &str) -> Result<String, ToolError> {
        let enter = Self::enter(node).into_iter().skip(1);
        let rule = rule.split(' ').map(str::to_owned);
        run_aside("nsenter", enter.chain(["iptables".to_owned(), "-w".to_owned()]).chain(rule).collect())
            .await
    }
}
