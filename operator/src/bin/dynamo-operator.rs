//! The operator.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use dynamo_operator::controller::reconcile::Reconciler;
use dynamo_operator::controller::run::{self, Scope};
use dynamo_operator::lease::Election;
use dynamo_operator::names::MANAGER;
use dynamo_operator::nodeclient::Grpc;
use dynamo_operator::telemetry::{self, Log, Metrics};
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use tokio::signal::unix::{SignalKind, signal};

/// Runs Dynamo-style stores on Kubernetes.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watches DynamoClusters and works on them, while it holds the lease.
    Run(Run),
}

#[derive(Args)]
struct Run {
    /// Image of members whose spec has none.
    #[arg(long, env = "DYNAMO_NODE_IMAGE")]
    node_image: String,
    /// Watch this namespace only; without it all of them.
    #[arg(long, env = "DYNAMO_NAMESPACE")]
    namespace: Option<String>,
    /// Where /metrics, /healthz and /readyz are served.
    #[arg(long, env = "DYNAMO_HTTP", default_value = "0.0.0.0:8080")]
    http: SocketAddr,
    /// Namespace of the lease: the operator's own.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    lease_namespace: String,
    /// Name of the lease.
    #[arg(long, env = "DYNAMO_LEASE", default_value = MANAGER)]
    lease: String,
    /// What this process is called in the lease: the pod's name.
    #[arg(long, env = "POD_NAME")]
    identity: String,
    /// How logs are written; RUST_LOG says what.
    #[arg(long, env = "DYNAMO_LOG", default_value = "json")]
    log: Log,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command: Command::Run(args) } = Cli::parse();
    telemetry::log(args.log);
    match operate(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the operator stops");
            ExitCode::FAILURE
        }
    }
}

async fn operate(args: Run) -> Result<(), Box<dyn Error>> {
    let client = Client::try_default().await?;
    let metrics = Metrics::new();
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut election = Election::new(client.clone(), &args.lease_namespace, &args.lease, &args.identity);
    let reporter = Reporter { controller: MANAGER.into(), instance: Some(args.identity.clone()) };
    let recorder = Recorder::new(client.clone(), reporter);
    let reconciler =
        Reconciler::new(client.clone(), Grpc, recorder, metrics.clone(), args.node_image.clone());
    let scope = Scope { namespace: args.namespace.clone() };
    let work = async {
        tracing::info!(identity = args.identity, "waiting for the lease");
        election.win().await;
        metrics.leads();
        tracing::info!(identity = args.identity, "leading");
        tokio::select! {
            () = run::run(client, Arc::new(reconciler), &scope) => Ok(()),
            // Another may be at work from now on: nothing of this process may go on.
            lost = election.hold() => Err(Box::<dyn Error>::from(lost)),
        }
    };
    tokio::select! {
        result = work => result,
        result = telemetry::serve(args.http, metrics.clone()) => Ok(result?),
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
    }
}
