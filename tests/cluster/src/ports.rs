//! Ports that are free, and stay so while a node is down.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use dynamo_client::local::Site;

/// Below the range from which systems take the ports of outgoing connections: one of those could otherwise sit on a
/// node's port when the node comes back.
const FIRST: u16 = 15_000;
const COUNT: u16 = 15_000;

/// Where the next search begins, so that tests of one process do not meet.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// So many sites on loopback, on free ports.
pub fn free_sites(count: usize) -> Vec<Site> {
    // Processes begin at different places, so that they seldom meet either.
    let offset = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0);
    let mut free = (0..COUNT).map(|_| {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        FIRST + (offset.wrapping_mul(61) % COUNT + step % COUNT) % COUNT
    });
    let mut port = || free.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port");
    (0..count).map(|_| Site::loopback(port(), port())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let mut ports: Vec<u16> =
            free_sites(40).into_iter().flat_map(|site| [site.port, site.http_port]).collect();
        ports.extend(free_sites(40).into_iter().flat_map(|site| [site.port, site.http_port]));
        ports.sort_unstable();
        let count = ports.len();
        ports.dedup();
        assert_eq!(ports.len(), count);
    }
}
