//! One channel for each address.
//!
//! A channel connects when it is first used and again whenever its connection was lost, and looks the name up each
//! time: the address of a pod changes, its name does not.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::error::Error;

/// The largest message: a value has 16 MiB at most. What is larger comes in pieces.
pub const LARGEST_MESSAGE: usize = 32 << 20;
/// A connection on which nothing comes back for this long, and then not even an answer to a ping, is given up.
const PING_AFTER: Duration = Duration::from_secs(2);
const PING_WITHIN: Duration = Duration::from_secs(2);

/// The channels.
#[derive(Debug)]
pub struct Pool {
    connect: Duration,
    channels: Mutex<BTreeMap<String, Channel>>,
}

impl Pool {
    /// An empty one, whose connections may take `connect` to be made.
    pub fn new(connect: Duration) -> Self {
        Self { connect, channels: Mutex::default() }
    }

    /// The channel to `address`, made now if there is none yet. Nothing is dialled before its first use. Needs a Tokio
    /// runtime.
    pub fn channel(&self, address: &str) -> Result<Channel, Error> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let channel = endpoint(address, self.connect)?.connect_lazy();
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    /// Closes the channels to all addresses but these, once the requests on them have ended.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.retain(|address, _| keep(address));
    }
}

/// How an address is dialled; an error if it is none.
pub fn endpoint(address: &str, connect: Duration) -> Result<Endpoint, Error> {
    let wrong =
        |reason: &str| Error::Address { given: address.chars().take(80).collect(), reason: reason.into() };
    let Some((host, port)) = address.rsplit_once(':') else { return Err(wrong("it has no port")) };
    if host.is_empty() || host.contains("//") {
        return Err(wrong("it has no host, or a scheme before it"));
    }
    if port.parse::<u16>().is_err() {
        return Err(wrong("its port is no number up to 65535"));
    }
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|e| wrong(&e.to_string()))?;
    Ok(endpoint
        .connect_timeout(connect)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_WITHIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_refused_where_it_is_given() {
        for good in ["cart:7070", "cart-0.cart-peers.shop.svc:7070", "127.0.0.1:1", "[::1]:7070"] {
            assert!(endpoint(good, Duration::from_secs(1)).is_ok(), "{good}");
        }
        for bad in ["", "cart", ":7070", "cart:", "cart:http", "cart:70707", "http://cart:7070", "a b:1"] {
            assert!(endpoint(bad, Duration::from_secs(1)).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn channels_of_members_that_left_are_dropped() {
        let pool = Pool::new(Duration::from_secs(1));
        pool.channel("a:1").unwrap();
        pool.channel("b:1").unwrap();
        pool.retain(|address| address == "b:1");
        assert_eq!(pool.channels.lock().unwrap().keys().collect::<Vec<_>>(), ["b:1"]);
    }
}
