//! An operator: it looks, decides and does one thing, over and over, and keeps nothing in between. Several compete; what one
//! sees may be stale, it may sleep between its look and its deed, and what it tells may arrive late, twice, or out of order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dynamo_proto::v1::admin_server::Admin;
use dynamo_proto::v1::{RetireRequest, SetLayoutRequest, Stage, StatusRequest};
use dynamo_ring::{Fate, NodeId, Record};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use tokio::time::{sleep, timeout};
use tonic::{Code, Request, Status};

use super::decide::{Act, Answers, decide, node_of};
use super::end::left_on;
use super::spec::{Spec, Wishes};
use super::watch::Watch;
use crate::chance::Chance;
use crate::net::machine;
use crate::run::Log;
use crate::world::{Node, World};

/// How long a machine may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// One operator. Cheap to clone.
#[derive(Clone)]
pub(super) struct Operator {
    pub(super) number: usize,
    pub(super) world: World,
    pub(super) wishes: Wishes,
    pub(super) chance: Chance,
    pub(super) log: Log,
    pub(super) watch: Watch,
    /// Faults have ended: it sees what stands, and its calls arrive.
    pub(super) well: Arc<AtomicBool>,
}

impl Operator {
    /// Works until nothing is left to do after all faults have ended.
    pub(super) async fn work(self) {
        loop {
            sleep(self.chance.micros(20_000, 400_000)).await;
            let well = self.well.load(Ordering::Relaxed);
            if self.turn(well).await == Act::Done && well {
                return;
            }
        }
    }

    /// Whether this goes wrong now, once in `n` times.
    fn wrong(&self, n: usize) -> bool {
        !self.well.load(Ordering::Relaxed) && self.chance.one_in(n)
    }

    async fn turn(&self, well: bool) -> Act {
        let back = |n| if self.wrong(n) { 1 + self.chance.0.below(4) } else { 0 };
        let (seen, spec) = (self.world.book.ago(back(6)), self.wishes.ago(back(6)));
        let answers = self.look().await;
        self.pods(&answers, &spec, well).await;
        if self.wrong(12) {
            // The leader sleeps, and does not know that it is none any more.
            sleep(self.chance.micros(300_000, 4_000_000)).await;
        }
        let act = decide(&seen.record, &answers, &spec);
        match &act {
            Act::Write(next, what) => {
                if self.world.book.replace(&seen, (**next).clone()) {
                    self.wrote(&seen.record, next, what);
                } else {
                    self.world.tally.count("an operator lost a race");
                }
            }
            Act::Tell(ids) => {
                join_all(ids.iter().map(|id| self.tell(&seen.record, *id))).await;
            }
            Act::Retire(ids) => {
                join_all(ids.iter().map(|id| self.retire(&seen.record, *id))).await;
            }
            Act::Wait | Act::Done => {}
        }
        act
    }

    fn wrote(&self, before: &Record, next: &Record, what: &str) {
        self.log.note(&format!("operator {} wrote {}: {what}", self.number, next.stamp()));
        self.world.tally.count(format!("wrote: {what}"));
        if what == "settled"
            && let Some(previous) = before.previous()
        {
            let (was, is) = (previous.members().len(), next.stable().members().len());
            let stay =
                previous.members().iter().filter(|member| next.stable().names(&member.node_id)).count();
            let tally = &self.world.tally;
            for (how, by) in [("grew", is - stay), ("shrank", was - stay)] {
                match by {
                    0 => {}
                    1 => tally.count(format!("{how} by one")),
                    _ => tally.count(format!("{how} by more than one")),
                }
            }
            if is > stay && was > stay {
                tally.count("grew and shrank at once");
            }
        }
    }

    /// What the machines say of themselves.
    async fn look(&self) -> Answers {
        let ask = |machine: usize| async move {
            let call = |node: Node| {
                async move { node.status(Request::new(StatusRequest {})).await.map(tonic::Response::into_inner) }.boxed()
            };
            let shown = self.watch.shown();
            let answer = self.call(machine, call).await.ok()?;
            self.watch.saw(&answer, &shown);
            Some((machine, answer))
        };
        join_all((0..self.world.hosts.len()).map(ask)).await.into_iter().flatten().collect()
    }

    /// Sends a record; some arrive again, or something older does.
    async fn tell(&self, record: &Record, node: NodeId) {
        let Some(machine) = machine_of(record, node) else { return };
        if self.wrong(4) {
            let old = if self.chance.one_in(2) {
                Arc::new(record.clone())
            } else {
                self.world.book.ago(self.chance.0.below(8)).record
            };
            let (late, me) = (self.chance.micros(100_000, 6_000_000), self.clone());
            tokio::spawn(async move {
                sleep(late).await;
                me.send(&old, machine, Vec::new()).await;
            });
        }
        self.send(record, machine, node.as_bytes().to_vec()).await;
    }

    async fn send(&self, record: &Record, machine: usize, node_id: Vec<u8>) {
        let message = SetLayoutRequest { record: record.to_json().into(), node_id: node_id.into() };
        let call = |node: Node| async move { node.set_layout(Request::new(message)).await.map(drop) }.boxed();
        match self.call(machine, call).await {
            Ok(()) => {}
            Err(why) if why.code() == Code::FailedPrecondition => {
                self.world.tally.count("a layout was refused");
                if why.message().contains("the record is at") {
                    self.world.tally.count("a stale layout was refused");
                }
            }
            Err(_) => self.world.tally.count("a layout did not arrive, or nobody knows"),
        }
    }

    async fn retire(&self, record: &Record, node: NodeId) {
        let Some(machine) = machine_of(record, node) else { return };
        let cluster_id = record.cluster_id().as_bytes().to_vec().into();
        let message = RetireRequest { node_id: node.as_bytes().to_vec().into(), cluster_id };
        let call = |node: Node| {
            async move { node.retire(Request::new(message)).await.map(tonic::Response::into_inner) }.boxed()
        };
        if let Ok(reply) = self.call(machine, call).await {
            self.world.tally.count(if reply.retired {
                "a node retired"
            } else {
                "a node may not retire yet"
            });
        }
    }

    /// One call of a machine. It may find nobody, be lost, or be late.
    async fn call<T>(
        &self,
        machine: usize,
        send: impl FnOnce(Node) -> BoxFuture<'static, Result<T, Status>>,
    ) -> Result<T, Status> {
        let net = &self.world.net;
        sleep(net.delay()).await;
        let lost = self.wrong(40);
        let (node, mut gone) =
            self.world.admin(machine).ok_or_else(|| Status::unavailable("nobody is there"))?;
        let call = async {
            while net.is_paused(machine) {
                sleep(Duration::from_millis(20)).await;
            }
            if lost {
                return Err(Status::unavailable("lost"));
            }
            tokio::select! {
                biased;
                _ = gone.changed() => Err(Status::unavailable("the process has gone")),
                answer = send(node) => answer,
            }
        };
        let answer =
            timeout(PATIENCE, call).await.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")));
        sleep(net.delay()).await;
        if self.wrong(40) { Err(Status::unavailable("the answer is lost")) } else { answer }
    }

    /// Stops the pods of nodes that have retired, and starts those that are wanted: on another disk, if the old one was of a
    /// node that has retired or is lost.
    async fn pods(&self, answers: &Answers, spec: &Spec, well: bool) {
        let record = self.world.book.latest().record;
        for (machine, host) in self.world.hosts.iter().enumerate() {
            let wanted = spec.machines().any(|wanted| wanted == machine);
            let node = answers.get(&machine).and_then(node_of);
            let fate = node.and_then(|node| record.fate(&node));
            let retired = answers.get(&machine).is_some_and(|answer| answer.stage() == Stage::Retired);
            // One that is just being started or stopped is seen to later.
            let Ok(mut host) = host.try_lock() else { continue };
            if fate == Some(Fate::Retired) && retired && host.node_id() == node {
                self.watch.left(machine, left_on(&host.disk));
                host.stop().await;
                host.present = false;
                self.log.note(&format!("machine {machine} is removed: its node has retired"));
                self.world.tally.count("a retired machine was removed");
            }
            if fate == Some(Fate::Lost) && well && host.node_id() == node {
                host.wipe().await;
            }
            if wanted && !host.present {
                host.present = true;
                self.log.note(&format!("machine {machine} is wanted again"));
            }
            if host.present && host.engine().is_none() {
                let _ = host.start().await;
            }
        }
    }
}

fn machine_of(record: &Record, node: NodeId) -> Option<usize> {
    machine(&record.named().iter().find(|named| named.node_id == node)?.name)
}
