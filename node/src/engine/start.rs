//! The start of a node: the question whether it is still who it was, which its peers answer while it answers theirs.

use std::time::Duration;

use super::Engine;
use crate::identity::{SetBack, Start, settle};
use crate::phase::Phase;
use crate::planted::{self, Fault};
use crate::store::{NewActor, OpError, SubmitError};
use crate::version::ActorId;

/// How long the start waits for other members to say what they know of this node.
const SETTLE: Duration = Duration::from_secs(3);

/// How long the start waits for the other members to be connected.
const CONNECT: Duration = Duration::from_secs(1);

/// Why a node does not serve.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Its data is an older copy. Close it, and set the data aside.
    #[error(transparent)]
    SetBack(#[from] SetBack),
    /// A write at the start failed.
    #[error("the store fails at the start ({0}); check the disk")]
    Store(#[from] OpError),
    /// The commit thread takes nothing.
    #[error("the store fails at the start ({0}); check the disk")]
    Busy(#[from] SubmitError),
}

impl Engine {
    /// Decides whether the node is still who it was, and serves.
    pub async fn start(&mut self) -> Result<(), Unfit> {
        if let Some(standing) = self.layouts.current() {
            let (network, voice) = (&*self.exchange.network, &self.voice);
            let start =
                settle(network, &standing, self.identity.node_id, voice.found(), self.was_clean, SETTLE)
                    .await;
            match start {
                Start::Keep => {}
                Start::SetBack(_) if planted::is(Fault::ServeSetBack) => {}
                Start::NewActor(_) if planted::is(Fault::KeepActor) => {}
                Start::NewActor(why) => {
                    let actor = ActorId(self.entropy.draw());
                    tracing::info!(%actor, %why, "goes on under a new actor id");
                    self.exchange.committer.submit(NewActor(actor))?.durable().await?;
                    self.voice.set_actor(actor);
                }
                Start::SetBack(set_back) => return Err(set_back.into()),
            }
        }
        self.voice.settle();
        // A short while for the streams to open: the first requests would find nobody. Whoever is away stays away.
        self.peers.all_up(CONNECT).await;
        self.life.enter(Phase::Serving);
        self.workers = self.workers();
        Ok(())
    }
}
