//! One round: load under faults, healing, and the verdict on what was written down.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dynamo_checker::{History, LineError, Op, Outcome, check};
use dynamo_client::{Client, Error, Options};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::fault::strike::{self, StrikeError};
use crate::fault::{Kind, heal, plan};
use crate::record::Recorder;
use crate::scene::{QUORUM, Scene};
use crate::workload::Worker;
use crate::workload::choose::Choices;

/// The load goes on for so long when everything is well again.
const CALM: Duration = Duration::from_secs(1);

/// How much a round does.
#[derive(Debug, Clone)]
pub struct Size {
    /// Faults begin for so long.
    pub rage: Duration,
    /// Clients at a time.
    pub clients: u64,
    /// Keys that they share.
    pub keys: u32,
}

/// What came of a round.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Its seed.
    pub seed: u64,
    /// Requests.
    pub requests: usize,
    /// Of those, the ones that were answered.
    pub answered: usize,
    /// Faults, by their kind.
    pub faults: BTreeMap<Kind, usize>,
    /// Until the replicas were alike.
    pub healing: Duration,
    /// What was promised and not kept, in words.
    pub broken: Vec<String>,
    /// Nodes that ended by themselves, with their last words.
    pub ended: Vec<String>,
    /// The history.
    pub history: PathBuf,
}

/// Why a round has no verdict.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The history.
    #[error("the history could not be written: {0}")]
    Record(#[from] io::Error),
    /// The history.
    #[error(transparent)]
    Lines(#[from] LineError),
    /// The clients.
    #[error(transparent)]
    Client(#[from] Error),
    /// The faults.
    #[error(transparent)]
    Strike(#[from] StrikeError),
    /// A client's task.
    #[error("a client ended: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Runs a round.
///
/// # Errors
/// [`RoundError`], when nothing can be said.
pub async fn run(
    scene: &Arc<Scene>,
    seed: u64,
    size: &Size,
    history: PathBuf,
) -> Result<Verdict, RoundError> {
    let (kinds, name) = (scene.ground.kinds(), name(seed));
    let recorder = Recorder::create(&history, QUORUM.n.into(), &name)?;
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    for number in 0..size.clients {
        let choices = Choices::new(seed, number, size.keys, scene.addresses().len(), QUORUM);
        let addresses = scene.addresses().to_vec();
        let client = Worker::connect(choices, recorder.clone(), name.clone(), addresses).await?;
        clients.spawn(client.run(stopped.clone()));
    }
    let strikes = plan(seed, &kinds, crate::scene::NODES, size.rage);
    strike::all(scene, &recorder, &strikes).await?;
    let ended = heal::undo(scene).await?;
    recorder.note("all is undone");
    sleep(CALM).await;
    let _ = stop.send(true);
    while let Some(ended) = clients.join_next().await {
        ended?;
    }
    let (apart, healing) = heal::wait(scene).await;
    for what in apart {
        recorder.apart(what);
    }
    let client = Client::connect(scene.addresses().to_vec(), Options::default()).await?;
    for key in 0..size.keys {
        match heal::read(&client, &name, key).await {
            Ok(values) => recorder.key(key, values),
            Err(why) => recorder.apart(why),
        }
    }
    recorder.close()?;
    // What is judged is what was written down.
    let judged = History::read(BufReader::new(File::open(&history)?))?;
    let (requests, answered) = (judged.ops.len(), judged.ops.iter().filter(|op| answered(op)).count());
    let mut broken: Vec<String> = check(&judged).iter().map(ToString::to_string).collect();
    // A cluster that answers nothing breaks no promise.
    if answered * 2 < requests || requests == 0 {
        broken.push(format!("only {answered} of {requests} requests were answered"));
    }
    let mut faults = BTreeMap::new();
    for strike in strikes {
        *faults.entry(strike.kind).or_default() += 1;
    }
    Ok(Verdict { seed, requests, answered, faults, healing, broken, ended, history })
}

/// Reads the keys of all rounds again, and judges each round by what stands now: nobody has begun to write them since, so the
/// faults of later rounds change nothing of what was promised. Returns what is broken, in words.
///
/// # Errors
/// When the cluster does not answer, or a history cannot be read.
pub async fn again(scene: &Scene, verdicts: &[Verdict]) -> Result<Vec<String>, RoundError> {
    let client = Client::connect(scene.addresses().to_vec(), Options::default()).await?;
    let mut broken = Vec::new();
    for Verdict { seed, history, .. } in verdicts {
        let mut judged = History::read(BufReader::new(File::open(history)?))?;
        let Some(end) = &mut judged.end else { continue };
        for (key, values) in &mut end.values {
            match heal::read(&client, &name(*seed), *key).await {
                Ok(stands) => *values = stands,
                Err(why) => end.disagreements.push(why),
            }
        }
        broken.extend(check(&judged).iter().map(|one| format!("seed {seed}: {one}")));
    }
    Ok(broken)
}

/// What the names of a round's keys begin with.
fn name(seed: u64) -> String {
    format!("seed-{seed}")
}

const fn answered(op: &Op) -> bool {
    matches!(op.outcome, Outcome::Read(_) | Outcome::Acknowledged)
}
