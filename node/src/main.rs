//! `dynamo-node`: one member of a cluster, as a process.

use std::process::ExitCode;

use clap::Parser;
use dynamo_node::config::Config;
use dynamo_node::log;
use dynamo_node::server::Node;
use dynamo_telemetry::export::Exporter;
use mimalloc::MiMalloc;
use tokio::signal::unix::{SignalKind, signal};

/// The system's own keeps what the store's threads free for each other: after some changes of size a node would have
/// several times what it uses.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let config = Config::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => {
            log::start(config.log, None);
            return failed(&format!("no threads can be started ({why}); raise the process limit"), FAILED);
        }
    };
    let traces = {
        let _within = runtime.enter();
        config.traces().map(Exporter::start).transpose()
    };
    log::start(config.log, traces.as_ref().ok().and_then(Option::as_ref));
    let traces = match traces {
        Ok(traces) => traces,
        Err(why) => return failed(&why.to_string(), FAILED),
    };
    let ended = runtime.block_on(run(config));
    if let Some(traces) = traces {
        traces.finish();
    }
    // Nothing is left that would be worth waiting for: a clean stop has waited, and after a fault the disk is not asked.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Ended { why, code }) => failed(&why, code),
    }
}

/// The exit code where none says more.
const FAILED: u8 = 1;

/// Why the process ends, and its exit code.
struct Ended {
    why: String,
    code: u8,
}

async fn run(config: Config) -> Result<(), Ended> {
    let signals = |why: std::io::Error| Ended { why: why.to_string(), code: FAILED };
    let mut terminate = signal(SignalKind::terminate()).map_err(signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(signals)?;
    let asked = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let node = Node::start(config).await;
    let node = node.map_err(|why| Ended { code: why.exit_code(), why: why.to_string() })?;
    let ended = node.run_until(asked).await;
    ended.map_err(|why| Ended { code: why.exit_code(), why: why.to_string() })
}

fn failed(why: &str, code: u8) -> ExitCode {
    tracing::error!("{why}");
    ExitCode::from(code)
}
