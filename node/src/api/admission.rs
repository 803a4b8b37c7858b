//! Whether a member's request is served: who asks, of which cluster, under which layout. Lessons 8 and 11.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::Refusal;
use dynamo_proto::v1::refusal::Reason;
use dynamo_ring::fence::{SenderStamp, Verdict, judge};

use super::record::RecordText;
use crate::layout::{Entered, Layouts};
use crate::peer::{Network, Sender, fetch_layout};
use crate::phase::{Life, Phase};

/// How long fetching a layout from the one who asked may take.
const FETCH: Duration = Duration::from_secs(2);

/// Looks at members' requests. Cheap to clone.
#[derive(Clone)]
pub struct Admission {
    layouts: Layouts,
    network: Arc<dyn Network>,
    life: Life,
    text: RecordText,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admission").finish_non_exhaustive()
    }
}

impl Admission {
    /// One that goes by these layouts.
    pub fn new(layouts: Layouts, network: Arc<dyn Network>, life: Life, text: RecordText) -> Self {
        Self { layouts, network, life, text }
    }

    /// Whether a greeting or a question for the layout is answered: nothing of it hangs on a step, so it is when this
    /// node is younger than the one who asks, or starts or stops.
    pub fn greet(&self, from: &Sender) -> Result<(), Refusal> {
        // A dormant node cannot know who its members will be. It has nothing that it could give away.
        let Some(entered) = self.layouts.enter() else { return Ok(()) };
        self.member(&entered, from)
    }

    /// Whether a member's gossip is taken. It hangs on no step either, but only members gossip.
    pub fn gossip(&self, from: &Sender) -> Result<(), Refusal> {
        let entered = self.layouts.enter().filter(|entered| !entered.retired);
        let entered = entered
            .ok_or_else(|| refusal(Reason::NotServing, "this node has no layout yet, or has retired"))?;
        self.member(&entered, from)
    }

    /// Leave to serve a request, to be kept until its effect is applied.
    pub async fn enter(
        &self,
        from: &Sender,
        stamp: SenderStamp,
        within: Duration,
    ) -> Result<Entered, Refusal> {
        match self.life.phase() {
            Phase::Serving => {}
            Phase::Starting => return Err(refusal(Reason::NotServing, "this node is starting")),
            Phase::Stopping => return Err(refusal(Reason::NotServing, "this node is stopping")),
        }
        let mut fetched = false;
        loop {
            let entered = self.layouts.enter().filter(|entered| !entered.retired);
            let entered = entered
                .ok_or_else(|| refusal(Reason::NotServing, "this node has no layout yet, or has retired"))?;
            self.member(&entered, from)?;
            match judge(&entered.record, stamp) {
                Verdict::Accept => return Ok(entered),
                Verdict::SenderIsOld => {
                    let message = format!("asked at {stamp}, this member is at {}", entered.stamp());
                    return Err(self.with_record(Reason::OldLayout, message, &entered));
                }
                Verdict::Conflict => {
                    let message = format!("{stamp} is not the layout of that epoch that this member knows");
                    return Err(refusal(Reason::Invalid, message));
                }
                Verdict::IAmOld if fetched => {
                    return Err(refusal(Reason::NotServing, format!("{stamp} is not taken here")));
                }
                Verdict::IAmOld => {
                    // Not in hand while the record is taken: nothing runs here yet.
                    drop(entered);
                    self.fetch(from, within).await?;
                    fetched = true;
                }
            }
        }
    }

    /// What is said to one who would have this node stand in for another, though the commit has taken it out of the
    /// cluster: the sender goes on under the new layout.
    pub fn left(&self, entered: &Entered) -> Refusal {
        let message = format!("this node has left the cluster with {}", entered.stamp());
        self.with_record(Reason::OldLayout, message, entered)
    }

    fn member(&self, entered: &Entered, from: &Sender) -> Result<(), Refusal> {
        let node = from.mark.node_id;
        let cluster = entered.record.cluster_id();
        // One that restarts may not have read its own layout yet; a node of another cluster always names that.
        if from.cluster_id.is_some_and(|theirs| theirs != cluster) {
            return Err(refusal(Reason::NotMember, format!("this member belongs to cluster {cluster}")));
        }
        if entered.admits(&node) {
            return Ok(());
        }
        let lost = if entered.is_lost(&node) { "is lost and barred for ever" } else { "is no member here" };
        Err(self.with_record(Reason::NotMember, format!("node {node} {lost}"), entered))
    }

    /// Fetches and takes the layout of the one who asked.
    async fn fetch(&self, from: &Sender, within: Duration) -> Result<(), Refusal> {
        let fetched = fetch_layout(&*self.network, &self.layouts, from.mark.node_id, within.min(FETCH)).await;
        fetched.map_err(|why| refusal(Reason::NotServing, format!("the newer layout is not here yet: {why}")))
    }

    fn with_record(&self, reason: Reason, message: String, entered: &Entered) -> Refusal {
        Refusal { reason: reason.into(), message, record: self.text.of(&entered.record) }
    }
}

/// A refusal without a record.
pub fn refusal(reason: Reason, message: impl Into<String>) -> Refusal {
    Refusal { reason: reason.into(), message: message.into(), record: Bytes::new() }
}
