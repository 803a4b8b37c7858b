//! `demo`: a Kubernetes, the operator, a store of three members, 100,000 keys; then 3 -> 5 -> 3 under load, every
//! acknowledged write checked, and a verdict. Exit code 0 only if nothing was lost.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use dynamo_e2e::door::Door;
use dynamo_e2e::load::Load;
use dynamo_e2e::pods::{JOURNAL, STOP_FILE};
use dynamo_e2e::rehearsal;
use dynamo_e2e::screen::{Picture, Screen, human};
use dynamo_e2e::stage::{NAMESPACE, STORE, Stage};
use dynamo_e2e::verdict::Verdict;
use dynamo_e2e::watch::Watch;
use dynamo_load::stats::Line;
use dynamo_operator::api::cluster::DynamoCluster;

/// Seconds of load before the first change: what "before" is measured over.
const BASELINE: Duration = Duration::from_secs(15);

#[tokio::main]
async fn main() -> ExitCode {
    let door = match Door::find() {
        Ok(door) => door,
        Err(error) => return fail(&error),
    };
    match run(&door).await {
        Ok(verdict) if verdict.passed() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            door.gather_logs("target/demo/logs").await;
            fail(error.as_ref())
        }
    }
}

fn fail(error: &dyn Error) -> ExitCode {
    eprintln!("demo: {error}");
    ExitCode::FAILURE
}

/// A whole number from the environment.
fn setting(name: &str, default: u64) -> Result<u64, String> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|_| format!("{name}={text} is not a whole number")),
        Err(_) => Ok(default),
    }
}

async fn run(door: &Door) -> Result<Verdict, Box<dyn Error>> {
    let (keys, value_bytes, keep) =
        (setting("KEYS", 100_000)?, setting("VALUE_BYTES", 1024)?, setting("KEEP", 1)?);
    let mut screen = Screen::new();
    screen.say("bringing Kubernetes up and installing the operator with Helm");
    let stage = Stage::set(door.clone()).await?;
    let sample = std::fs::read_to_string(door.root().join("config/sample.yaml"))?;
    screen.say("kubectl apply -f config/sample.yaml");
    // A demo that ran before may have left its store: a fresh one makes the figures mean what they say.
    stage.clear().await?;
    stage.apply(&sample).await?;
    stage.wait("ready with 3 members", Duration::from_mins(3), |_| {}, |c| rehearsal::settled(c, 3)).await?;
    let watch = Watch::start(stage.client(), NAMESPACE, STORE);

    screen.say(&format!(
        "a writer puts {keys} keys of {}, then goes on writing; a reader reads",
        human(value_bytes)
    ));
    let writer = Load::start(door, stage.client(), "writer", &writer(keys, value_bytes)).await?;
    let preload = Duration::from_secs(60 + keys / 200);
    let mut picture = Picture { title: format!("loading {keys} keys"), ..Picture::default() };
    let see = |line: &Line| {
        fill(&mut picture, line, None);
        screen.draw(&picture);
    };
    writer.wait("loaded", preload, see, |line| line.loaded).await?;
    let reader = Load::start(door, stage.client(), "reader", &reader(keys, value_bytes)).await?;
    reader.wait("reading", Duration::from_mins(1), |_| {}, |line| line.reads.count > 0).await?;

    let from = (writer.lines().len(), reader.lines().len());
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < BASELINE {
        show(&mut screen, "3 members, before", &stage.get().await?, &writer, &reader);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let before = rehearsal::both(&writer.lines()[from.0..], &reader.lines()[from.1..]);

    let mut changes = Vec::new();
    for (title, to) in [("scaling 3 -> 5", 5), ("scaling 5 -> 3", 3)] {
        screen.say(&format!("kubectl scale dyn {STORE} --replicas={to}"));
        let from = reader.lines().len();
        let see = |cluster: &DynamoCluster| show(&mut screen, title, cluster, &writer, &reader);
        let mut change = rehearsal::change(&stage, &writer, to, Duration::from_mins(15), see).await?;
        let reads = rehearsal::latency(&reader.lines()[from..]);
        change.during.read_p50 = reads.read_p50;
        change.during.read_p99 = reads.read_p99;
        changes.push(change);
    }

    screen.say(
        "stopping the load and reading every acknowledged write back, from the store and from every replica",
    );
    reader.stop().await?;
    writer.stop().await?;
    let (written, read) = (writer.lines(), reader.lines());
    let report = writer.verify().await?;
    let total = |pick: fn(&Line) -> u64| written.last().map_or(0, pick) + read.last().map_or(0, pick);
    let verdict = Verdict {
        keys: report.keys,
        acknowledged: written.last().map_or(0, |line| line.acknowledged),
        found: report.found,
        lost: report.lost,
        replicas_checked: report.replicas_checked,
        roots_equal: report.roots_equal,
        failed_requests: total(|line| line.failed),
        retries: total(|line| line.retries),
        before,
        changes,
        violations: watch.violations(),
    };
    println!("{}", verdict.text());
    let file = door.root().join("target/demo/verdict.json");
    std::fs::create_dir_all(door.root().join("target/demo"))?;
    std::fs::write(&file, serde_json::to_string_pretty(&verdict)?)?;
    println!("\n  figures: target/demo/verdict.json");
    if keep == 0 {
        door.harness(&["down"]).await?;
    } else {
        go_on(door).await?;
    }
    Ok(verdict)
}

fn writer(keys: u64, value_bytes: u64) -> Vec<String> {
    let args = format!(
        "run --seeds {STORE}:7070 --keys {keys} --value-bytes {value_bytes} --writers 8 --readers 0 --rate 200 \
         --journal {JOURNAL} --stop-file {STOP_FILE} --duration 3600"
    );
    args.split_whitespace().map(str::to_owned).collect()
}

fn reader(keys: u64, value_bytes: u64) -> Vec<String> {
    let args = format!(
        "run --seeds {STORE}:7070 --keys {keys} --value-bytes {value_bytes} --writers 0 --readers 4 --rate 200 \
         --no-preload --journal {JOURNAL} --stop-file {STOP_FILE} --duration 3600"
    );
    args.split_whitespace().map(str::to_owned).collect()
}

fn show(screen: &mut Screen, title: &str, cluster: &DynamoCluster, writer: &Load, reader: &Load) {
    let mut picture = Picture { title: title.into(), ..Picture::default() };
    if let Some(line) = writer.lines().last() {
        fill(&mut picture, line, reader.lines().last());
    }
    if let Some(status) = &cluster.status {
        picture.phase = format!("{:?}", status.phase);
        picture.members.clone_from(&status.members_text);
        picture.partitions = (status.partitions_synced, status.partitions_to_sync);
        picture.bytes = (status.bytes_moved, status.bytes_to_move);
    }
    screen.draw(&picture);
}

#[allow(clippy::cast_precision_loss)] // operations a second, for people's eyes
fn fill(picture: &mut Picture, writer: &Line, reader: Option<&Line>) {
    let reads = reader.unwrap_or(writer);
    picture.throughput = (writer.writes.count as f64, reads.reads.count as f64);
    picture.p99_micros = (writer.writes.p99_us, reads.reads.p99_us);
    picture.acknowledged = writer.acknowledged;
    picture.failed = writer.failed + reader.map_or(0, |line| line.failed);
    picture.retries = writer.retries + reader.map_or(0, |line| line.retries);
}

async fn go_on(door: &Door) -> Result<(), Box<dyn Error>> {
    let kubeconfig = door.harness(&["kubeconfig"]).await?;
    println!(
        "\n  It stays up. Go on by hand:\n    scripts/cluster kubectl -n {NAMESPACE} get dyn {STORE} -w\n    \
         scripts/cluster kubectl -n {NAMESPACE} scale dyn {STORE} --replicas=4\n    export KUBECONFIG={}\n  \
         Take it down: make demo-down",
        kubeconfig.trim()
    );
    Ok(())
}
