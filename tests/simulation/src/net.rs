//! The network between members: who can be reached, how long a message takes, which streams are broken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dynamo_node::api::replica::ReplicaService;
use dynamo_node::peer::{ConnectError, Downward, PeerError, PullStream, Transport, Upward, Wire};
use dynamo_proto::v1::PullRequest;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tonic::Status;

use crate::chance::Chance;
use crate::pipe::carry;

/// How long a connection is tried that nobody answers.
const CONNECT: Duration = Duration::from_secs(1);

/// A process: which machine, and its how-manieth life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// The machine.
    pub machine: usize,
    /// Its life.
    pub life: u64,
}

/// From one process to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) from: Process,
    pub(crate) to: Process,
}

#[derive(Default)]
struct State {
    /// Who runs, and takes calls.
    up: BTreeMap<usize, (Process, ReplicaService)>,
    /// To which life of each machine its name leads, from when on.
    names: BTreeMap<usize, Vec<(Instant, u64)>>,
    /// Every message is quick.
    calm: bool,
    /// How much later than the next process of a machine its name follows.
    late: BTreeMap<usize, Duration>,
    /// Machines between which nothing goes, in this direction.
    cut: BTreeSet<(usize, usize)>,
    /// Machines that stand still.
    paused: BTreeSet<usize>,
    /// Machines whose disks are slow.
    slow: BTreeSet<usize>,
}

/// The network. Cheap to clone.
#[derive(Clone)]
pub struct Net {
    chance: Chance,
    state: Arc<Mutex<State>>,
    /// Somebody has gone.
    gone: Arc<Notify>,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").finish_non_exhaustive()
    }
}

impl Net {
    /// A network that is whole.
    pub fn new(chance: Chance) -> Self {
        Self { chance, state: Arc::default(), gone: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process takes calls from now on, at an address of its own. The machine's name leads there, at once or late.
    pub fn plug(&self, process: Process, replica: ReplicaService) {
        let mut state = self.state();
        let late = state.late.remove(&process.machine).unwrap_or_default();
        state.names.entry(process.machine).or_default().push((Instant::now() + late, process.life));
        state.up.insert(process.machine, (process, replica));
    }

    /// The name of the machine will follow its next process so much later.
    pub fn name_late(&self, machine: usize, late: Duration) {
        self.state().late.insert(machine, late);
    }

    /// Which process is to be found at an address: a machine's name leads to one of its lives, an address to one alone.
    fn resolve(&self, address: &str) -> Option<Process> {
        let host = address.strip_suffix(":7070")?;
        if let Some(machine) = machine(host) {
            let state = self.state();
            let known = state.names.get(&machine)?.iter().filter(|(from, _)| *from <= Instant::now());
            return known.map(|(_, life)| Process { machine, life: *life }).next_back();
        }
        let (machine, life) = host.strip_prefix("10.")?.split_once('.')?;
        Some(Process { machine: machine.parse().ok()?, life: life.parse().ok()? })
    }

    /// Whatever runs on the machine is gone, and every stream with it.
    pub fn unplug(&self, machine: usize) {
        self.state().up.remove(&machine);
        self.gone.notify_waiters();
    }

    /// Nothing goes from one machine to the other.
    pub fn cut(&self, from: usize, to: usize) {
        self.state().cut.insert((from, to));
    }

    /// Every cut is mended.
    pub fn mend(&self) {
        self.state().cut.clear();
    }

    /// A machine stands still, or goes on.
    pub fn pause(&self, machine: usize, paused: bool) {
        put(&mut self.state().paused, machine, paused);
    }

    /// Whether a machine stands still.
    pub fn is_paused(&self, machine: usize) -> bool {
        self.state().paused.contains(&machine)
    }

    /// A machine's disk becomes slow, or quick again.
    pub fn slow(&self, machine: usize, slow: bool) {
        put(&mut self.state().slow, machine, slow);
    }

    /// Whether a machine's disk is slow.
    pub fn is_slow(&self, machine: usize) -> bool {
        self.state().slow.contains(&machine)
    }

    /// From now on every message is quick.
    pub fn calm(&self) {
        self.state().calm = true;
    }

    /// How long the next message takes: mostly well below a millisecond or two, now and then far longer.
    pub(crate) fn delay(&self) -> Duration {
        if self.state().calm {
            return self.chance.micros(50, 1_500);
        }
        match self.chance.0.below(200) {
            0 => self.chance.micros(100_000, 1_500_000),
            1..=4 => self.chance.micros(5_000, 120_000),
            _ => self.chance.micros(50, 1_500),
        }
    }

    pub(crate) fn is_open(&self, way: Way) -> bool {
        let state = self.state();
        let (from, to) = (way.from.machine, way.to.machine);
        !state.cut.contains(&(from, to)) && !state.paused.contains(&from) && !state.paused.contains(&to)
    }

    pub(crate) fn is_broken(&self, way: Way) -> bool {
        let state = self.state();
        let runs = |process: Process| state.up.get(&process.machine).is_some_and(|(up, _)| *up == process);
        !runs(way.from) || !runs(way.to)
    }

    /// Whether nobody is there any more to whom it leads. What is on its way still arrives when its sender has gone.
    pub(crate) fn is_deserted(&self, way: Way) -> bool {
        self.state().up.get(&way.to.machine).is_none_or(|(up, _)| *up != way.to)
    }

    /// Waits until one of the two is gone.
    pub(crate) async fn broken(&self, way: Way) {
        loop {
            let gone = self.gone.notified();
            tokio::pin!(gone);
            gone.as_mut().enable();
            if self.is_broken(way) {
                return;
            }
            gone.await;
        }
    }

    fn at(&self, machine: usize) -> Option<(Process, ReplicaService)> {
        self.state().up.get(&machine).cloned()
    }
}

/// Puts a machine in, or takes it out.
fn put(machines: &mut BTreeSet<usize>, machine: usize, is_in: bool) {
    if is_in {
        machines.insert(machine);
    } else {
        machines.remove(&machine);
    }
}

/// The network as one process sees it.
#[derive(Debug, Clone)]
pub struct Socket {
    /// The network.
    pub net: Net,
    /// The process.
    pub me: Process,
}

/// A machine's name, as the layout has it. It leads to the process that runs there, though perhaps late.
pub fn name(machine: usize) -> String {
    format!("cart-{machine}:7070")
}

/// The machine of that pod's name.
pub fn machine(pod: &str) -> Option<usize> {
    pod.strip_prefix("cart-")?.parse().ok()
}

/// The address of a process: each start of a machine has another.
pub fn address(of: Process) -> String {
    format!("10.{}.{}:7070", of.machine, of.life)
}

impl Transport for Socket {
    fn connect(&self, address: &str) -> BoxFuture<'static, Result<Arc<dyn Wire>, ConnectError>> {
        let (socket, address) = (self.clone(), address.to_owned());
        async move {
            let Socket { net, me } = socket;
            let Some(wanted) = net.resolve(&address) else {
                return Err(ConnectError::Address { address, why: "no machine has it".to_owned() });
            };
            sleep(net.delay() * 2).await;
            let Some((to, replica)) = net.at(wanted.machine) else {
                return Err(ConnectError::Refused(format!("nobody listens at {address}")));
            };
            if to != wanted {
                // Nobody has that address any more.
                sleep(CONNECT).await;
                return Err(ConnectError::Silent);
            }
            let (there, back) = (Way { from: me, to }, Way { from: to, to: me });
            if !net.is_open(there) || !net.is_open(back) {
                sleep(CONNECT).await;
                return Err(ConnectError::Silent);
            }
            Ok(Arc::new(Cable { net, there, back, replica }) as Arc<dyn Wire>)
        }
        .boxed()
    }
}

/// One connection.
struct Cable {
    net: Net,
    there: Way,
    back: Way,
    replica: ReplicaService,
}

impl fmt::Debug for Cable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cable").field("there", &self.there).finish_non_exhaustive()
    }
}

impl Wire for Cable {
    fn exchange(&self, frames: Upward) -> BoxFuture<'static, Result<Downward, Status>> {
        let arriving = carry(self.net.clone(), self.there, frames).map(Ok);
        let answers = self.replica.frames(arriving);
        let answers = carry(self.net.clone(), self.back, answers);
        async move { Ok(answers) }.boxed()
    }

    fn pull(&self, request: PullRequest) -> BoxFuture<'static, Result<PullStream, PeerError>> {
        let (net, back, replica) = (self.net.clone(), self.back, self.replica.clone());
        async move {
            sleep(net.delay()).await;
            if net.is_broken(back) || !net.is_open(back) {
                return Err(PeerError::Strange("the connection is gone".to_owned()));
            }
            let entries = replica.entries(&request).map_err(|why| PeerError::Strange(why.to_string()))?;
            Ok(carry(net, back, entries))
        }
        .boxed()
    }
}
