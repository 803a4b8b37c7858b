//! One seed from the beginning to its verdict.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dynamo_checker::{End, History, Op, OpId, Outcome, Request, Terms, Value, check};
use futures::future::join_all;
use tokio::runtime::{Builder, RngSeed, Runtime, UnhandledPanic};
use tokio::time::Instant;

use crate::chance::Chance;
use crate::clients::Habits;
use crate::tally::Tally;
use crate::world::{QUORUM, World};
use crate::{clients, nemesis};

/// How much one run does.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Clients at a time.
    pub clients: usize,
    /// Requests of each.
    pub requests: usize,
    /// Keys that they share.
    pub keys: usize,
    /// How long things go wrong.
    pub rage: Duration,
    /// The longest that a client waits between two requests.
    pub pause: Duration,
    /// The longest that it takes until the next thing goes wrong.
    pub calm: Duration,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            clients: 6,
            requests: 60,
            keys: 5,
            rage: Duration::from_secs(5),
            pause: Duration::from_millis(60),
            calm: Duration::from_millis(900),
        }
    }
}

/// What one seed came to.
#[derive(Debug)]
pub struct Verdict {
    /// The seed.
    pub seed: u64,
    /// What was promised and not kept, in words; nothing if all was.
    pub broken: Vec<String>,
    /// Everything that clients saw and that went wrong, in order.
    pub text: String,
    /// Requests that were answered.
    pub answered: usize,
    /// Requests in all.
    pub requests: usize,
    /// How often what happened.
    pub tally: Tally,
}

impl Verdict {
    pub(crate) fn failed(seed: u64, why: String) -> Self {
        let (broken, text, tally) = (vec![why], String::new(), Tally::default());
        Self { seed, broken, text, answered: 0, requests: 0, tally }
    }
}

#[derive(Debug, Default)]
struct Pages {
    history: History,
    text: String,
    values: Value,
}

/// The history as it is written. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Log {
    begun: Instant,
    pages: Arc<Mutex<Pages>>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), pages: Arc::default() }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// A line of what went wrong.
    pub fn note(&self, what: &str) {
        let now = self.now();
        // Writing to a string does not fail.
        let _ = writeln!(self.pages().text, "{now:>10} {what}");
    }

    /// A value that no other write carries.
    pub fn fresh_value(&self) -> Value {
        let mut pages = self.pages();
        pages.values += 1;
        pages.values
    }

    /// A request begins.
    pub fn begin(&self, key: u32, request: Request, terms: Terms) -> OpId {
        let begun = self.now();
        let mut pages = self.pages();
        let id = pages.history.ops.len();
        let Terms { strict, quorum, partial } = terms;
        let asked = format!("strict={strict} quorum={quorum}{}", if partial { " partial" } else { "" });
        let _ = writeln!(pages.text, "{begun:>10} #{id} key {key} {request:?} {asked}");
        pages.history.ops.push(Op::begun(key, request, terms, begun));
        id
    }

    /// The answer to a read says that it covers this write.
    pub fn covers(&self, read: OpId, write: OpId) {
        let mut pages = self.pages();
        let _ = writeln!(pages.text, "{:>10} #{read} covers #{write}", "");
        if let Some(op) = pages.history.ops.get_mut(read) {
            op.covers = Some(write);
        }
    }

    /// A request ends.
    pub fn end(&self, id: OpId, outcome: Outcome, answered: u32, repeated: bool) {
        let ended = self.now();
        let mut pages = self.pages();
        let _ =
            writeln!(pages.text, "{ended:>10} #{id} {outcome:?}{}", if repeated { " repeated" } else { "" });
        if let Some(op) = pages.history.ops.get_mut(id) {
            (op.ended, op.outcome, op.answered, op.repeated) = (ended, outcome, answered, repeated);
        }
    }
}

/// The runtime of a seed: one thread, time that stands still while anything runs, and everything that is left to chance
/// drawn from the seed.
pub(crate) fn runtime(seed: u64) -> Result<Runtime, String> {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).rng_seed(RngSeed::from_bytes(&seed.to_be_bytes()));
    builder.unhandled_panic(UnhandledPanic::ShutdownRuntime);
    builder.build().map_err(|why| format!("no runtime: {why}"))
}

/// Runs one seed.
pub fn run(seed: u64, size: Size) -> Verdict {
    let runtime = match runtime(seed) {
        Ok(runtime) => runtime,
        Err(why) => return Verdict::failed(seed, why),
    };
    let simulated = catch_unwind(AssertUnwindSafe(|| runtime.block_on(simulate(seed, size))));
    simulated.unwrap_or_else(|_| {
        Verdict::failed(seed, "a task panicked; the first lines above say where".to_owned())
    })
}

async fn simulate(seed: u64, size: Size) -> Verdict {
    let chance = Chance::of(seed);
    let machines = 3 + chance.0.below(7);
    let log = Log::new();
    let world = match World::form(machines, machines, &chance).await {
        Ok(world) => world,
        Err(why) => return Verdict::failed(seed, format!("no cluster: {why}")),
    };
    log.note(&format!("{machines} machines"));
    let requests = (0..size.clients).map(|_| clients::run(&world, &chance, &log, size, Habits::default()));
    let ((), _) = tokio::join!(nemesis::rage(&world, &chance, &log, size), join_all(requests));
    nemesis::heal(&world, &log).await;
    let apart = world.heal().await;
    judge(seed, &world, &log, size, apart).await
}

/// Reads everything once more, and holds the history against what is promised. `apart` is what did not agree in the end.
pub(crate) async fn judge(seed: u64, world: &World, log: &Log, size: Size, apart: Vec<String>) -> Verdict {
    let mut history = std::mem::take(&mut log.pages().history);
    history.n = QUORUM.n.into();
    let mut end = End { disagreements: apart, ..End::default() };
    for key in 0..u32::try_from(size.keys).unwrap_or(u32::MAX) {
        match clients::read_all(world, key).await {
            Ok(values) => {
                log.note(&format!("key {key} at the end: {values:?}"));
                end.values.insert(key, values);
            }
            Err(why) => end.disagreements.push(why),
        }
    }
    history.end = Some(end);
    let answered = history.ops.iter().filter(|op| !matches!(op.outcome, Outcome::Unknown | Outcome::Refused));
    let (answered, requests) = (answered.count(), history.ops.len());
    let broken = check(&history).iter().map(ToString::to_string).collect();
    let text = std::mem::take(&mut log.pages().text);
    Verdict { seed, broken, text, answered, requests, tally: world.tally.clone() }
}
