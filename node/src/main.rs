//! `dynamo-node`: one member of a cluster, as a process.

use std::process::ExitCode;

use clap::Parser;
use dynamo_node::config::Config;
use dynamo_node::log;
use dynamo_node::server::Node;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let config = Config::parse();
    log::start(config.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return failed(&format!("no threads can be started ({why}); raise the process limit")),
    };
    let ended = runtime.block_on(run(config));
    // Nothing is left that would be worth waiting for: a clean stop has waited, and after a fault the disk is not asked.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

async fn run(config: Config) -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|why| why.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|why| why.to_string())?;
    let asked = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let node = Node::start(config).await.map_err(|why| why.to_string())?;
    node.run_until(asked).await.map_err(|why| why.to_string())
}

fn failed(why: &str) -> ExitCode {
    tracing::error!("{why}");
    ExitCode::FAILURE
}
