//! `dynamoctl`: reads and writes keys, shows a cluster, and changes the size of one that has no operator.

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic when the reader has gone: see `out`

mod args;
mod dev;
mod estimate;
mod explain;
mod fail;
mod key;
mod kv;
mod list;
mod look;
mod moves;
mod node;
mod out;
mod picture;
mod progress;
mod remembered;
mod ring;
#[cfg(test)]
mod scenes;
mod status;
mod text;
mod watch;

use std::process::ExitCode;

use clap::Parser;
use dynamo_telemetry::TARGET;
use dynamo_telemetry::export::Exporter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

use args::{Cli, Command, Common};
use fail::Fail;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { common, command } = Cli::parse();
    let traces = match common.traces().map(Exporter::start).transpose() {
        Ok(traces) => traces,
        Err(why) => {
            out::tell_aside(format_args!("dynamoctl: {why}"));
            return ExitCode::from(2);
        }
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| "error".into());
    let logs = fmt::layer().with_writer(std::io::stderr).with_filter(filter);
    let logs = logs.with_filter(filter_fn(|what| what.target() != TARGET));
    tracing_subscriber::registry().with(logs).with(traces.as_ref().map(Exporter::layer)).init();
    let outcome = run(common, command).await;
    if let Some(traces) = traces {
        // A thread that may wait; without it the last spans are lost, and nothing else.
        let _ = tokio::task::spawn_blocking(|| traces.finish()).await;
    }
    outcome.unwrap_or_else(|Fail { message, code }| {
        if !message.is_empty() {
            out::tell_aside(format_args!("dynamoctl: {message}"));
        }
        ExitCode::from(code)
    })
}

async fn run(common: Common, command: Command) -> Result<ExitCode, Fail> {
    match command {
        Command::Get(args) => kv::get(&common, &args).await,
        Command::Put(args) => kv::put(&common, &args).await,
        Command::Delete(args) => kv::delete(&common, &args).await,
        Command::Status => status::run(&common).await,
        Command::Ring(args) => ring::run(&common, args).await,
        Command::List(args) => list::list(&common, &args).await,
        Command::Export(args) => list::export(&common, &args).await,
        Command::Explain(args) => explain::run(&common, &args).await,
        Command::Node(args) => node::run(&common, &args),
        Command::Dev(args) => dev::run(args).await,
    }
}
