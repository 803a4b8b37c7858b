//! `dynamo-load`: runs load, and verifies what it was told.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use dynamo_client::{Client, Options, Token};
use dynamo_load::journal::{Acknowledged, Journal};
use dynamo_load::{deletes, holdings, verify, workload};
use tokio::signal::unix::{SignalKind, signal};

/// Load on a Dynamo store, and the proof that nothing acknowledged was lost.
#[derive(Debug, Parser)]
#[command(name = "dynamo-load", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write every key once, then go on writing and reading; one JSON line of figures a second.
    Run(Run),
    /// Read every acknowledged write back. Ends with 0 only if nothing was lost.
    Verify(Verify),
    /// Delete every key that a `run` loaded. Ends with 0 only if all of them read as absent then.
    Delete(Delete),
    /// Look for keys that were deleted, through the store and on each replica. Ends with 0 only if none is there.
    Absent(Absent),
    /// Print the stored bytes of each partition as JSON.
    Holdings(Holdings),
    /// Ask a `run` to end, by making its stop file.
    Stop {
        /// The file that `run` was given.
        #[arg(long)]
        stop_file: PathBuf,
    },
    /// Do nothing until a signal: keeps a container, and the journal beside it, within reach.
    Idle,
}

#[derive(Debug, Args)]
struct Run {
    /// Addresses of the cluster, host:port, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    seeds: Vec<String>,
    /// Keys to write once first; at most as many are added later.
    #[arg(long)]
    keys: u64,
    /// Bytes of each value.
    #[arg(long, default_value_t = 1024)]
    value_bytes: usize,
    /// Tasks that write.
    #[arg(long, default_value_t = 8)]
    writers: u32,
    /// Tasks that read.
    #[arg(long, default_value_t = 2)]
    readers: u32,
    /// Operations a second over all tasks after the preload; as fast as answers come if absent.
    #[arg(long)]
    rate: Option<NonZeroU32>,
    /// Do not write every key once first.
    #[arg(long)]
    no_preload: bool,
    /// The file of acknowledged writes; must not exist.
    #[arg(long)]
    journal: PathBuf,
    /// End after so many seconds, preload included.
    #[arg(long, default_value_t = 3600)]
    duration: u64,
    /// End after so many acknowledged writes.
    #[arg(long, default_value_t = 10_000_000)]
    max_writes: u64,
    /// End when this file appears.
    #[arg(long)]
    stop_file: Option<PathBuf>,
    /// What the names of keys begin with.
    #[arg(long, default_value = "load-")]
    prefix: String,
}

#[derive(Debug, Args)]
struct Verify {
    /// Addresses of the cluster, host:port, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    seeds: Vec<String>,
    /// The file that `run` wrote.
    #[arg(long)]
    journal: PathBuf,
    /// Ask each replica too, and compare Merkle roots.
    #[arg(long, requires = "admin_token_file")]
    every_replica: bool,
    /// The cluster's token.
    #[arg(long)]
    admin_token_file: Option<PathBuf>,
    /// Seconds that hints, repairs and hand-over may take to bring everything where it belongs.
    #[arg(long, default_value_t = 30)]
    settle: u64,
}

#[derive(Debug, Args)]
struct Delete {
    /// Addresses of the cluster, host:port, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    seeds: Vec<String>,
    /// The first so many keys.
    #[arg(long)]
    keys: u64,
    /// What the names of keys begin with.
    #[arg(long, default_value = "load-")]
    prefix: String,
    /// Seconds that it may take.
    #[arg(long, default_value_t = 60)]
    within: u64,
}

#[derive(Debug, Args)]
struct Absent {
    /// Addresses of the cluster, host:port, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    seeds: Vec<String>,
    /// The first so many keys.
    #[arg(long)]
    keys: u64,
    /// What the names of keys begin with.
    #[arg(long, default_value = "load-")]
    prefix: String,
    /// The cluster's token.
    #[arg(long)]
    admin_token_file: PathBuf,
    /// Not even a tombstone is to be left.
    #[arg(long)]
    reaped: bool,
    /// Seconds that it may take until nothing is left.
    #[arg(long, default_value_t = 30)]
    settle: u64,
}

#[derive(Debug, Args)]
struct Holdings {
    /// Addresses of the cluster, host:port, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    seeds: Vec<String>,
    /// The cluster's token.
    #[arg(long)]
    admin_token_file: PathBuf,
}

type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let outcome = match Cli::parse().command {
        Command::Run(args) => run(args).await,
        Command::Verify(args) => check(args).await,
        Command::Delete(args) => delete(args).await,
        Command::Absent(args) => absent(args).await,
        Command::Holdings(args) => print_holdings(args).await,
        Command::Stop { stop_file } => stop(&stop_file),
        Command::Idle => idle().await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("dynamo-load: {error}");
        ExitCode::from(2)
    })
}

/// Names that are not there yet are waited for: the load may start before the cluster.
async fn connect(seeds: Vec<String>) -> Result<Client, dynamo_client::Error> {
    let patient = Options { deadline: Duration::from_mins(1), ..Options::default() };
    // The deadline of the options is also that of each request, which is to be the usual one.
    Client::connect(seeds.clone(), patient).await?;
    Client::connect(seeds, Options::default()).await
}

async fn run(args: Run) -> Outcome {
    let plan = workload::Plan {
        keys: args.keys,
        prefix: args.prefix.clone(),
        value_bytes: args.value_bytes,
        writers: args.writers,
        readers: args.readers,
        rate: args.rate,
        preload: !args.no_preload,
        duration: Duration::from_secs(args.duration),
        max_writes: args.max_writes,
        stop_file: args.stop_file,
    };
    plan.check()?;
    let stopped = Arc::new(AtomicBool::new(false));
    tokio::spawn(set_on_signal(Arc::clone(&stopped)));
    let client = connect(args.seeds).await?;
    let journal = Journal::create(&args.journal, &args.prefix)?;
    workload::run(client, plan, journal, stopped, print_json).await?;
    Ok(ExitCode::SUCCESS)
}

async fn check(args: Verify) -> Outcome {
    let journal = Acknowledged::read(&args.journal)?;
    let token = args.admin_token_file.filter(|_| args.every_replica);
    let every_replica = token.map(|file| Token::read(&file)).transpose()?;
    let asked = every_replica.is_some();
    let plan = verify::Plan { every_replica, settle: Duration::from_secs(args.settle) };
    let client = connect(args.seeds).await?;
    let report = verify::run(&client, &journal, &plan, |step| eprintln!("{step}")).await?;
    print_json(&report);
    Ok(if report.passed(asked) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn delete(args: Delete) -> Outcome {
    let client = connect(args.seeds).await?;
    match deletes::delete(&client, &args.prefix, args.keys, Duration::from_secs(args.within)).await {
        0 => Ok(ExitCode::SUCCESS),
        left => {
            Err(format!("{left} of {} keys do not read as absent after {} s", args.keys, args.within).into())
        }
    }
}

async fn absent(args: Absent) -> Outcome {
    let token = Token::read(&args.admin_token_file)?;
    let client = connect(args.seeds).await?;
    let settle = Duration::from_secs(args.settle);
    let absence = deletes::look(&client, &token, &args.prefix, args.keys, args.reaped, settle).await?;
    print_json(&absence);
    Ok(if absence.passed(args.reaped) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn print_holdings(args: Holdings) -> Outcome {
    let token = Token::read(&args.admin_token_file)?;
    let record = connect(args.seeds).await?.layout().ok_or(verify::VerifyError::NoLayout)?;
    print_json(&holdings::bytes(&holdings::ask(&record, &token).await?));
    Ok(ExitCode::SUCCESS)
}

fn stop(file: &Path) -> Outcome {
    std::fs::write(file, b"").map_err(|e| format!("the stop file {} cannot be made: {e}", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

async fn idle() -> Outcome {
    let stopped = Arc::new(AtomicBool::new(false));
    set_on_signal(stopped).await;
    Ok(ExitCode::SUCCESS)
}

/// Returns at the first SIGTERM or SIGINT; a process that cannot hear signals is ended by them anyway.
async fn set_on_signal(flag: Arc<AtomicBool>) {
    if let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    }
    flag.store(true, Ordering::Relaxed);
}

fn print_json(value: &impl serde::Serialize) {
    // Figures and counts always are JSON.
    if let Ok(text) = serde_json::to_string(value) {
        println!("{text}");
    }
}
