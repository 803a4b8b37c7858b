//! One operator at a time: a Lease that is taken and renewed by replace with resourceVersion, so that of two that try
//! one fails (lesson 13 of operators). It saves work and noise; safety does not rest on it, since every write carries
//! the version that it was decided on.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout};

/// How long a lease holds after its last renewal.
const HOLDS: Duration = Duration::from_secs(15);
/// A holder that could not renew for so long stops: before another may begin.
const GIVE_UP: Duration = Duration::from_secs(10);
/// Between two tries.
const AGAIN: Duration = Duration::from_secs(3);

/// What an operator may do about the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// There is none: make it.
    Create,
    /// It is ours, or has run out: replace it, over the state that was read.
    Replace,
    /// Another holds it.
    Follow,
}

/// Decides about the lease. Times are those of this process alone: how long the lease has not changed before its eyes,
/// not what a foreign clock has written into it.
#[derive(Debug, Clone)]
pub struct Elector {
    me: String,
    seen: Option<(String, Duration)>,
}

impl Elector {
    /// For the operator of this name.
    pub fn new(me: &str) -> Self {
        Self { me: me.to_owned(), seen: None }
    }

    /// What to do about a lease of this resource version and holder, at `now` since any moment.
    pub fn decide(&mut self, lease: Option<(&str, Option<&str>)>, now: Duration) -> Next {
        let Some((version, holder)) = lease else {
            self.seen = None;
            return Next::Create;
        };
        let since = match &self.seen {
            Some((seen, since)) if seen == version => *since,
            _ => {
                self.seen = Some((version.to_owned(), now));
                now
            }
        };
        match holder {
            None | Some("") => Next::Replace,
            Some(holder) if holder == self.me => Next::Replace,
            Some(_) if now.saturating_sub(since) >= HOLDS => Next::Replace,
            Some(_) => Next::Follow,
        }
    }
}

/// The lease was lost: whoever sees this ends the process, since another may already be at work.
#[derive(Debug, thiserror::Error)]
#[error("the lease could not be renewed for {GIVE_UP:?}")]
pub struct Lost;

/// A lease at the API server.
#[allow(missing_debug_implementations)] // a client has none
pub struct Election {
    leases: Api<Lease>,
    name: String,
    elector: Elector,
    started: Instant,
}

impl Election {
    /// The lease `name` in `namespace`, for the operator `me`.
    pub fn new(client: Client, namespace: &str, name: &str, me: &str) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            name: name.to_owned(),
            elector: Elector::new(me),
            started: Instant::now(),
        }
    }

    /// Returns when the lease is held.
    pub async fn win(&mut self) {
        loop {
            match self.turn().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the lease cannot be had now"),
            }
            sleep(AGAIN).await;
        }
    }

    /// Renews for as long as that works; returns when the lease is lost.
    pub async fn hold(&mut self) -> Lost {
        let mut renewed = Instant::now();
        while renewed.elapsed() < GIVE_UP {
            sleep(AGAIN).await;
            let begun = Instant::now();
            match timeout(AGAIN, self.turn()).await {
                Ok(Ok(true)) => renewed = begun,
                Ok(Ok(false)) => return Lost,
                Ok(Err(error)) => tracing::warn!(%error, "the lease was not renewed"),
                Err(_) => tracing::warn!("the lease was not renewed in time"),
            }
        }
        Lost
    }

    /// One try; whether the lease is held now.
    async fn turn(&mut self) -> Result<bool, kube::Error> {
        let lease = self.leases.get_opt(&self.name).await?;
        let read = lease.as_ref().map(|lease| {
            let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
            (lease.metadata.resource_version.as_deref().unwrap_or_default(), holder)
        });
        let next = self.elector.decide(read, self.started.elapsed());
        let result = match (next, &lease) {
            (Next::Follow, _) => return Ok(false),
            (Next::Replace, Some(lease)) => {
                self.leases.replace(&self.name, &PostParams::default(), &self.mine(Some(lease))).await
            }
            (Next::Create | Next::Replace, _) => {
                self.leases.create(&PostParams::default(), &self.mine(None)).await
            }
        };
        match result {
            Ok(_) => Ok(true),
            // Someone was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn mine(&self, lease: Option<&Lease>) -> Lease {
        let now = Some(MicroTime(Timestamp::now()));
        let before = lease.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let renews = before.holder_identity.as_deref() == Some(&self.elector.me);
        let turns = before.lease_transitions.unwrap_or(0);
        Lease {
            metadata: lease.map_or_else(
                || ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                |lease| lease.metadata.clone(),
            ),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.elector.me.clone()),
                lease_duration_seconds: i32::try_from(HOLDS.as_secs()).ok(),
                acquire_time: if renews { before.acquire_time } else { now.clone() },
                renew_time: now,
                lease_transitions: Some(if renews { turns } else { turns + 1 }),
                ..LeaseSpec::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn lesson_13_a_lease_is_taken_only_after_it_stood_still_before_our_own_eyes() {
        let mut elector = Elector::new("b");
        assert_eq!(elector.decide(Some(("1", Some("a"))), at(100)), Next::Follow);
        assert_eq!(elector.decide(Some(("1", Some("a"))), at(114)), Next::Follow);
        assert_eq!(elector.decide(Some(("2", Some("a"))), at(115)), Next::Follow, "it was renewed");
        assert_eq!(elector.decide(Some(("2", Some("a"))), at(129)), Next::Follow);
        assert_eq!(elector.decide(Some(("2", Some("a"))), at(130)), Next::Replace);
    }

    #[test]
    fn our_own_and_a_free_one_are_taken_at_once() {
        let mut elector = Elector::new("b");
        assert_eq!(elector.decide(None, at(0)), Next::Create);
        assert_eq!(elector.decide(Some(("1", Some("b"))), at(1)), Next::Replace);
        assert_eq!(elector.decide(Some(("2", None)), at(2)), Next::Replace);
        assert_eq!(elector.decide(Some(("3", Some(""))), at(2)), Next::Replace);
    }

    #[test]
    fn a_holder_stops_before_another_may_begin() {
        // The last renewal counts from when it was begun, and each try is bounded.
        assert!(GIVE_UP + AGAIN < HOLDS);
    }
}
