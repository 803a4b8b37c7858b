//! How a node ends: asked to, or because it must.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::select_all;
use tokio::time::timeout;

use super::Node;
use super::error::Fatal;
use crate::identity::SetBack;
use crate::store::directory::write_clean_mark;

/// How long the servers may take to close once nothing runs. Streams of peers do not end by themselves.
const CLOSE: Duration = Duration::from_millis(500);

enum Ending {
    Asked,
    Store(String),
    SetBack(SetBack),
    Server(&'static str, String),
}

impl Node {
    /// Runs until `asked` is done, and then stops cleanly; or until the node can no longer go on.
    pub async fn run_until(mut self, asked: impl Future<Output = ()>) -> Result<(), Fatal> {
        let mut fatal = self.committer.fatal();
        let ending = {
            let servers = self.servers.iter_mut().map(|(name, server)| {
                let name = *name;
                Box::pin(async move { (name, server.await) })
            });
            tokio::select! {
                () = asked => Ending::Asked,
                why = fatal.wait_for(Option::is_some) => {
                    Ending::Store(why.ok().and_then(|why| why.clone()).unwrap_or_default())
                }
                set_back = self.engine.set_back() => Ending::SetBack(set_back),
                ((name, ended), _, _) = select_all(servers) => {
                    let why = match ended {
                        Ok(Ok(())) => "nobody asked it to".to_owned(),
                        Ok(Err(why)) => why,
                        Err(why) => why.to_string(),
                    };
                    Ending::Server(name, why)
                }
            }
        };
        match ending {
            Ending::Asked => self.stop().await,
            // What is in memory is worth nothing now, and every moment more can only answer wrongly.
            Ending::Store(why) => Err(Fatal::Store(why)),
            Ending::SetBack(set_back) => {
                let aside = self.set_aside().await;
                Err(Fatal::SetBack { set_back, aside })
            }
            Ending::Server(name, why) => {
                self.stop().await?;
                Err(Fatal::Server(name, why))
            }
        }
    }

    /// Stops cleanly: everything that was ever told to others is on disk when this returns, and the mark says so.
    pub async fn stop(mut self) -> Result<(), Fatal> {
        tracing::info!(under_way = self.engine.under_way(), "stopping");
        self.engine.drain().await;
        self.close().await;
        let (thread, store) = (self.thread, self.store);
        let last_words = tokio::task::spawn_blocking(move || {
            thread.stop().map_err(|why| why.to_string())?;
            write_clean_mark(&*store).map_err(|why| why.to_string())
        });
        match last_words.await {
            Ok(Ok(())) => {
                tracing::info!("stopped");
                Ok(())
            }
            Ok(Err(why)) => Err(Fatal::Unclean(why)),
            Err(why) => Err(Fatal::Unclean(why.to_string())),
        }
    }

    /// Ends at once, as a crash would: what was handed to the disk stays, the mark of a clean stop is missing. For tests
    /// that need several nodes in one process.
    pub async fn crash(mut self) {
        for (_, server) in &self.servers {
            server.abort();
        }
        self.close().await;
        let thread = self.thread;
        // Whatever it says, the next start takes the data for what is on disk.
        drop(tokio::task::spawn_blocking(move || thread.stop()).await);
    }

    /// Renames the data away: it is an older copy, and nothing of it may be served again.
    pub(super) async fn set_aside(mut self) -> Option<PathBuf> {
        self.close().await;
        let (thread, store, directory) = (self.thread, self.store, self.directory);
        let moved = tokio::task::spawn_blocking(move || {
            drop(thread.stop());
            drop(store);
            directory.set_aside()
        });
        match moved.await {
            Ok(Ok(aside)) => aside,
            Ok(Err(why)) => {
                tracing::error!(%why, "the data could not be set aside; do so by hand before the next start");
                None
            }
            Err(_) => None,
        }
    }

    /// Ends the engine, the servers and every task of this node.
    async fn close(&mut self) {
        self.stop.send_replace(true);
        self.engine.close().await;
        for (_, mut server) in self.servers.drain(..) {
            if timeout(CLOSE, &mut server).await.is_err() {
                server.abort();
                // An aborted task still has to let go of what it holds.
                drop(server.await);
            }
        }
        self.health.abort();
        let _ = (&mut self.health).await;
    }
}
