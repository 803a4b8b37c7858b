//! One page of a partition's keys: asked of R of its own members, as a read is, and merged. Nothing is repaired behind it.

use dynamo_proto::v1::ListPartitionReply;
use dynamo_proto::v1::request::Op;
use dynamo_ring::fence::SenderStamp;
use dynamo_ring::{NodeId, Partitions};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep_until};

use super::drive::{Coordinator, Missed, wanted};
use super::error::CoordinateError;
use super::get::due;
use super::outlines::{self, Page, PageOf};
use super::read::{Effect, Event, Outcome, Read, Told};
use super::targets::ReadTargets;
use crate::layout::Entered;
use crate::peer::ask;
use crate::store::OpError;
use crate::store::blocking;

/// A page that is to be listed.
#[derive(Debug)]
pub struct ListOrder {
    /// Which.
    pub page: PageOf,
    /// Members wanted; the cluster's own number if `None`.
    pub quorum: Option<u32>,
    /// The client waits no longer than this.
    pub until: Instant,
}

/// What was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListAnswer {
    /// The keys.
    pub page: Page,
    /// Of the layout that served.
    pub epoch: u64,
    /// The coordinator's wall clock at the answer, ms since the epoch: what is past its time to live is not shown.
    pub now_ms: u64,
}

/// How one round under one layout ended.
enum Round {
    Answered(Outcome, Vec<Page>),
    Superseded,
}

impl Coordinator {
    /// How many partitions there are, if this node serves.
    pub fn partitions(&self) -> Option<Partitions> {
        let entered = self.parts.layouts.enter().filter(|entered| entered.serves())?;
        Some(entered.record.stable().partitions())
    }

    /// Lists the page.
    ///
    /// Only the partition's own members are asked: one that stands in holds some of its keys, and knows nothing of the
    /// others.
    pub async fn list(&self, order: &ListOrder) -> Result<ListAnswer, CoordinateError> {
        loop {
            let entered = self.parts.layouts.enter().filter(|entered| entered.serves());
            let entered = entered.ok_or(CoordinateError::NotServing)?;
            let quorum = entered.record.quorum();
            let r = wanted("r", order.quorum, quorum.r, quorum.n)?;
            match self.list_round(&entered, r, order).await {
                Round::Superseded => self.parts.metrics.restarted(),
                Round::Answered(Outcome { answered, enough: false, .. }, _) => {
                    return Err(CoordinateError::TooFew { answered, needed: r, write: false });
                }
                Round::Answered(_, pages) => {
                    let epoch = entered.view().read_layout().epoch();
                    let now_ms = self.parts.clock.now_ms();
                    return Ok(ListAnswer { page: outlines::merge(pages, &order.page), epoch, now_ms });
                }
            }
        }
    }

    async fn list_round(&self, entered: &Entered, r: usize, order: &ListOrder) -> Round {
        let stamp = entered.stamp();
        let up = |node: NodeId| self.parts.network.is_up(node);
        let targets = ReadTargets::of(entered.view(), order.page.partition, self.me())
            .doubting(|node| self.parts.network.is_suspected(node));
        let (mut read, mut effects) = Read::start(targets, self.me(), r, true, up);
        let mut pages = Vec::new();
        let mut open: FuturesUnordered<BoxFuture<'_, (NodeId, Result<Page, Missed>)>> =
            FuturesUnordered::new();
        // A page takes longer than a key, so nobody is hurried before the handoff time.
        let mut handoff = Some(Instant::now() + self.parts.patience.handoff);
        loop {
            for effect in effects.drain(..) {
                match effect {
                    Effect::Ask { node, .. } => open.push(self.page_of(node, order, stamp).boxed()),
                    Effect::ArmHedge => {}
                    Effect::Answer(outcome) => return Round::Answered(outcome, pages),
                }
            }
            let event = tokio::select! {
                biased;
                Some((node, page)) = open.next() => match page {
                    Ok(page) => {
                        pages.push(page);
                        // Every page comes whole, so no hash waits for this one.
                        Event::Found(node, Told::Whole(None))
                    }
                    Err(Missed::Failed) => Event::Failed(node),
                    Err(Missed::Superseded) => return Round::Superseded,
                },
                () = due(handoff) => {
                    handoff = None;
                    Event::HandoffDue
                }
                () = sleep_until(order.until) => Event::DeadlineDue,
            };
            effects = read.on(event, up);
        }
    }

    async fn page_of(
        &self,
        node: NodeId,
        order: &ListOrder,
        stamp: SenderStamp,
    ) -> (NodeId, Result<Page, Missed>) {
        if node == self.me() {
            let (local, wanted) = (self.parts.local.clone(), order.page.clone());
            let page = blocking(move || outlines::read(&local, &wanted).map_err(OpError::from)).await;
            let failed = |why: OpError| {
                tracing::warn!(%why, "the own keys cannot be listed");
                Missed::Failed
            };
            return (node, page.map_err(failed));
        }
        let within = order.until.saturating_duration_since(Instant::now());
        let op = Op::ListPartition(order.page.request());
        let page = match ask::<ListPartitionReply>(&*self.parts.network, node, op, stamp, within).await {
            // What makes no sense is no answer.
            Ok(reply) => Page::from_reply(reply).ok_or(Missed::Failed),
            Err(why) => Err(self.missed(node, &why, stamp, order.until).await),
        };
        (node, page)
    }
}
