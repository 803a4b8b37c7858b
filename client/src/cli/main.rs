//! `dynamoctl`: reads and writes keys, shows a cluster, and changes the size of one that has no operator.

mod args;
mod dev;
mod explain;
mod fail;
mod key;
mod kv;
mod list;
mod moves;
mod node;
mod remembered;
mod ring;
mod status;
mod text;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use fail::Fail;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "error".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let Cli { common, command } = Cli::parse();
    let outcome = match command {
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
    };
    outcome.unwrap_or_else(|Fail { message, code }| {
        eprintln!("dynamoctl: {message}");
        ExitCode::from(code)
    })
}
