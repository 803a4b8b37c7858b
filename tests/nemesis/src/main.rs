//! `nemesis`: rounds of faults on a local cluster of real processes, each judged by the checker.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use dynamo_nemesis::fault::Kind;
use dynamo_nemesis::ground::disk::Disk;
use dynamo_nemesis::ground::network::Network;
use dynamo_nemesis::ground::sandbox;
use dynamo_nemesis::prove;
use dynamo_nemesis::round::{self, Size, Verdict};
use dynamo_nemesis::scene::{Ground, NODES, Scene};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

/// Runs five nodes under load and faults, and holds what the clients saw against what is promised.
#[derive(Debug, Parser)]
#[command(name = "nemesis")]
struct Args {
    /// How many rounds; each has the seed after the one before.
    #[arg(long, default_value_t = 3)]
    rounds: u64,
    /// The seed of the first: the same faults and requests, if not at the same moments. Drawn if absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Seconds for which faults begin in each round.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Clients at a time.
    #[arg(long, default_value_t = 8)]
    clients: u64,
    /// Keys that they share.
    #[arg(long, default_value_t = 10)]
    keys: u32,
    /// Where histories go, and the logs of nodes when something is broken.
    #[arg(long, default_value = "target/nemesis")]
    out: PathBuf,
}

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let mut args = Args::parse();
    // Does not come back where there is a sandbox: this program begins again inside.
    let sandbox = sandbox::enter();
    let seed = *args.seed.get_or_insert_with(|| u64::from(rand::random::<u32>()));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return failed(&why),
    };
    let ended = runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            ended = run(sandbox, &args, seed) => ended,
            _ = interrupt.recv() => Err("interrupted".into()),
            _ = terminate.recv() => Err("told to end".into()),
        }
    });
    // Tasks that are still under way are dropped, and with them nodes are killed and disks go on.
    runtime.shutdown_timeout(Duration::from_secs(5));
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => failed(&why),
    }
}

fn failed(why: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("nemesis: {why}");
    ExitCode::from(2)
}

async fn run(sandbox: Result<PathBuf, sandbox::NoSandbox>, args: &Args, seed: u64) -> Fallible<bool> {
    // Lasts as long as this call; a sandbox has a folder that goes with it.
    let plain;
    let (ground, folder) = match sandbox {
        Ok(folder) => (ground(&folder), folder),
        Err(why) => {
            missing(&[Kind::needs_network, Kind::needs_disk], &why);
            plain = TempDir::with_prefix("dynamo-nemesis-")?;
            (Ground::default(), plain.path().to_owned())
        }
    };
    println!("nemesis: seed {seed}, {NODES} nodes");
    let scene = Arc::new(Scene::open(&folder, ground).await?);
    for shown in prove::all(&scene).await? {
        println!("shown: {shown}");
    }
    let size = Size { rage: Duration::from_secs(args.seconds), clients: args.clients, keys: args.keys };
    let mut verdicts = Vec::new();
    for seed in (seed..).take(usize::try_from(args.rounds)?) {
        let history = args.out.join(format!("seed-{seed}.jsonl"));
        let verdict = round::run(&scene, seed, &size, history).await?;
        tell(&verdict, args);
        if !passed(&verdict) {
            keep_logs(&scene, &args.out.join(format!("seed-{seed}")))?;
        }
        verdicts.push(verdict);
    }
    // Later faults must not have broken what earlier rounds left.
    let later = round::again(&scene, &verdicts).await?;
    for words in &later {
        println!("at the end of all rounds: {words}");
    }
    let not_run: BTreeSet<Kind> =
        Kind::ALL.into_iter().filter(|kind| !scene.ground.kinds().contains(kind)).collect();
    if let Some(scene) = Arc::into_inner(scene) {
        scene.close().await?;
    }
    println!("{}", figures(&verdicts, &later, &not_run));
    Ok(!verdicts.is_empty() && verdicts.iter().all(passed) && later.is_empty())
}

/// What can be made here; what cannot is said.
fn ground(folder: &Path) -> Ground {
    let network = Network::make(NODES).map_err(|why| missing(&[Kind::needs_network], &why)).ok();
    let disks: Result<Vec<Disk>, _> =
        (0..NODES).map(|node| Disk::make(folder, &format!("dev-{node}"))).collect();
    let disks = disks.map_err(|why| missing(&[Kind::needs_disk], &why)).unwrap_or_default();
    Ground { network, disks }
}

fn missing(needs: &[fn(Kind) -> bool], why: &dyn std::fmt::Display) {
    let kinds = Kind::ALL.into_iter().filter(|kind| needs.iter().any(|needs| needs(*kind)));
    let words: Vec<_> = kinds.map(Kind::words).collect();
    println!("nemesis: NOT RUN ON THIS MACHINE: {}: {why}", words.join(", "));
}

fn passed(verdict: &Verdict) -> bool {
    verdict.broken.is_empty() && verdict.ended.is_empty()
}

fn tell(verdict: &Verdict, args: &Args) {
    let Verdict { seed, requests, answered, faults, healing, broken, ended, history } = verdict;
    let healing = healing.as_secs_f64();
    println!(
        "seed {seed}: {requests} requests, {answered} answered; {}; alike after {healing:.1} s; {} broken",
        counts(faults),
        broken.len() + ended.len()
    );
    for words in broken.iter().chain(ended) {
        println!("  {words}");
    }
    if !passed(verdict) {
        println!("  its history: {}; again:", history.display());
        println!("  make nemesis ROUNDS=1 SEED={seed} SECONDS={}", args.seconds);
    }
}

fn counts(faults: &BTreeMap<Kind, usize>) -> String {
    let words: Vec<_> = faults.iter().map(|(kind, count)| format!("{} {count}", kind.words())).collect();
    words.join(", ")
}

/// The last line.
fn figures(verdicts: &[Verdict], later: &[String], not_run: &BTreeSet<Kind>) -> String {
    let good = verdicts.iter().filter(|verdict| passed(verdict)).count();
    let mut faults: BTreeMap<Kind, usize> = BTreeMap::new();
    for (kind, count) in verdicts.iter().flat_map(|verdict| &verdict.faults) {
        *faults.entry(*kind).or_default() += count;
    }
    let sum = |of: fn(&Verdict) -> usize| verdicts.iter().map(of).sum::<usize>();
    let not_run = match not_run.iter().map(|kind| kind.words()).collect::<Vec<_>>() {
        none if none.is_empty() => "all kinds of faults ran".to_owned(),
        some => format!("NOT RUN: {}", some.join(", ")),
    };
    format!(
        "nemesis: {good} rounds passed, {} failed; {} requests, {} answered; {} broken later; {}; {not_run}",
        verdicts.len() - good,
        sum(|verdict| verdict.requests),
        sum(|verdict| verdict.answered),
        later.len(),
        counts(&faults)
    )
}

fn keep_logs(scene: &Scene, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for node in 0..NODES {
        std::fs::copy(scene.log(node), folder.join(format!("dev-{node}.log")))?;
    }
    println!("  the nodes' logs: {}", folder.display());
    Ok(())
}
