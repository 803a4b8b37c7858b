//! What a change of size costs, 3 -> 4 -> 3, measured on real `dynamo-node` processes on this machine: bytes on the wire
//! over stored bytes, time over that of a plain copy, what requests feel, and memory. Ends by itself, and leaves nothing
//! behind but the figures.
//!
//! | module | what it is for |
//! |---|---|
//! | [`fleet`] | the processes, filled with keys, and their changes of size |
//! | [`counters`] | what each process has sent and received, and what memory it has |
//! | [`plain`] | the same bytes copied plainly, to compare with |
//! | [`load`] | requests at a fixed rate, whatever the answers do |
//! | [`report`] | the figures, as a table and as JSON |

mod counters;
mod error;
mod fleet;
mod load;
mod plain;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use self::error::BenchError;
use self::fleet::Fleet;
use self::load::Load;
use self::report::{Felt, Report, Sized};

/// Measures what a change of size costs.
#[derive(Debug, Clone, Parser)]
#[command(version)]
struct Args {
    /// Keys, each on three members.
    #[arg(long, env = "KEYS", default_value_t = 1_000_000)]
    keys: u64,
    /// Bytes of each value.
    #[arg(long, env = "VALUE_BYTES", default_value_t = 1024)]
    value_bytes: usize,
    /// Partitions.
    #[arg(long, env = "PARTITIONS", default_value_t = 256)]
    partitions: u16,
    /// Requests a second beside the second pair of changes, half of them writes.
    #[arg(long, env = "RATE", default_value_t = 300)]
    rate: u32,
    /// Seconds of requests before it, to compare with.
    #[arg(long, env = "BEFORE", default_value_t = 20)]
    before: u64,
    /// No changes under load, whose length depends on what the throttle finds.
    #[arg(long, env = "QUIET")]
    quiet: bool,
    /// Where the figures go.
    #[arg(long, default_value = "target/bench/rebalance.json")]
    out: PathBuf,
    /// The program `dynamo-node`; else the one beside this program.
    #[arg(long, env = "DYNAMO_NODE_BIN")]
    node: Option<PathBuf>,
}

/// When no node gives way any more to requests that have ended: ten seconds until it takes them for over, and sixteen from
/// the least share of its time to all of it.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// Between two looks at a change, without requests and beside them.
const OFTEN: Duration = Duration::from_millis(100);
const BESIDE: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args).await {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("the bench came to no end: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<Report, BenchError> {
    // A quarter of the keys first: what does not grow with the data is the same in both.
    let (small, few) = quiet(args, args.keys / 4).await?;
    few.stop().await?;
    let (large, mut fleet) = quiet(args, args.keys).await?;
    // On disk before the longest part begins.
    let quiet = Report::new(args.value_bytes, args.partitions, small, large);
    quiet.write(&args.out)?;
    if args.quiet {
        fleet.stop().await?;
        return Ok(quiet);
    }
    say("under load");
    let mut load = Load::begin(fleet.client().await?, args.rate, args.keys);
    tokio::time::sleep(Duration::from_secs(args.before)).await;
    let before = load.cut();
    say("3 -> 4");
    let growing = (fleet.resize(4, BESIDE).await?, load.cut());
    // The next change has its own requests before it: what the first leaves behind is no part of what it is compared with.
    tokio::time::sleep(Duration::from_secs(args.before)).await;
    let between = load.cut();
    say("4 -> 3");
    let shrinking = (fleet.resize(3, BESIDE).await?, load.cut());
    load.end().await;
    fleet.stop().await?;
    let report = quiet.with(Felt { rate: args.rate, before, growing, between, shrinking });
    report.write(&args.out)?;
    Ok(report)
}

/// Both changes with so many keys and no requests beside them. The fleet goes on with three members.
async fn quiet(args: &Args, keys: u64) -> Result<(Sized, Fleet), BenchError> {
    let data = args.out.parent().map_or_else(PathBuf::new, PathBuf::from);
    let mut fleet = Fleet::start(args.node.as_deref(), &data, args.partitions).await?;
    say(&format!("{keys} keys of {} bytes", args.value_bytes));
    let filled = fleet.fill(keys, args.value_bytes).await?;
    say(&format!("filled in {:.1} s; 3 -> 4", filled.as_secs_f64()));
    tokio::time::sleep(FORGOTTEN).await;
    let growing = fleet.resize(4, OFTEN).await?;
    say("the same bytes, copied plainly");
    let plain = fleet.copy_plainly(3).await?;
    say("4 -> 3");
    let shrinking = fleet.resize(3, OFTEN).await?;
    Ok((Sized { keys, growing, plain, shrinking }, fleet))
}

fn say(what: &str) {
    eprintln!("{what}");
}
