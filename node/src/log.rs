//! Logs: one line an event, JSON for machines or text for people, filtered by RUST_LOG. And the spans of requests, which
//! go to a collector, if there is one.

use std::io::IsTerminal;

use clap::ValueEnum;
use dynamo_telemetry::TARGET;
use dynamo_telemetry::export::Exporter;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For machines.
    Json,
    /// For people.
    Text,
}

/// What is logged if RUST_LOG says nothing. The storage engine tells of every file it opens.
const USUAL: &str = "info,fjall=warn,lsm_tree=warn";

/// Sends logs to standard error, in this format, and spans of requests to their exporter.
pub fn start(format: LogFormat, traces: Option<&Exporter>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(USUAL));
    let logs = match format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed(),
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            fmt::layer().with_ansi(colours).with_writer(std::io::stderr).boxed()
        }
    };
    // Without this hint whatever the storage engine would say at its lowest level is put together, to be thrown away.
    let most = filter.max_level_hint().unwrap_or(LevelFilter::TRACE);
    let not_traces = filter_fn(|what| what.target() != TARGET).with_max_level_hint(most);
    let logs = logs.with_filter(filter).with_filter(not_traces);
    // Only a second call fails, and then the first one's format stays.
    let _ = tracing_subscriber::registry().with(logs).with(traces.map(Exporter::layer)).try_init();
}
