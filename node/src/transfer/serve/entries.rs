//! The entries of a partition in key order, as they lie in the store: a stream of batches, each with a checksum.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dynamo_proto::v1::{Load, PullBatch, PullRequest};
use dynamo_ring::Partition;
use dynamo_ring::fence::Verdict;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use prost::Message;
use tonic::Status;

use super::super::checksum::checksum;
use super::super::metrics::TransferMetrics;
use super::entry;
use crate::layout::Layouts;
use crate::pace::Foreground;
use crate::peer::parts::{Cut, WHOLE};
use crate::peer::wire::{self, Sender};
use crate::store::{DataKey, Local, Store, StoreError, blocking};

/// Entry bytes of one batch of a pull, but for one entry that is larger; fewer beside requests.
pub const BATCH_BYTES: usize = 256 << 10;

/// The pulls that this node answers. Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub struct Serving {
    running: Arc<AtomicU32>,
    foreground: Foreground,
    metrics: TransferMetrics,
}

/// One pull that is being answered, until it is dropped.
#[derive(Debug)]
struct Served(Serving);

impl Serving {
    /// Nothing is answered yet. Answers give way to what `foreground` feels.
    pub fn new(foreground: Foreground, metrics: TransferMetrics) -> Self {
        Self { running: Arc::default(), foreground, metrics }
    }

    fn begin(&self) -> Served {
        self.running.fetch_add(1, Ordering::Relaxed);
        Served(self.clone())
    }

    fn load(&self) -> Load {
        Load { pulls: self.running.load(Ordering::Relaxed), share: self.foreground.share().parts() }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Served {
    /// A batch as it is sent: it says who speaks, and how busy that is.
    fn signed(&self, sender: Sender, batch: PullBatch) -> PullBatch {
        let batch = PullBatch { sender: Some(sender.message()), load: Some(self.0.load()), ..batch };
        self.0.metrics.served(batch.encoded_len() as u64);
        batch
    }
}

/// The entries of a partition in key order, as they lie in a snapshot taken now. `me` says who speaks, at each batch.
///
/// The snapshot is kept for as long as the stream is read, so the reader's timeouts bound it. No guard is held: what is
/// read is not changed, and the reader compares afterwards. States go as they are stored: nothing here decodes them. After
/// each message this node rests for as long as its own requests of clients ask for.
pub fn pull(
    store: &Arc<dyn Store>,
    layouts: &Layouts,
    request: &PullRequest,
    serving: &Serving,
    me: impl Fn() -> Sender + Send + Sync + 'static,
) -> Result<BoxStream<'static, Result<PullBatch, Status>>, Status> {
    let (partition, after) = admit(layouts, request)?;
    let snapshot = Local::over(store.snapshot());
    let left = if request.batches == 0 { u32::MAX } else { request.batches };
    let reading = Reading::new(snapshot, partition, after, left, serving.foreground.clone());
    let served = serving.begin();
    let batches = stream::unfold((Some(reading), me, served), |(reading, me, served)| async move {
        let mut reading = reading?;
        let read = blocking(move || {
            let batch = reading.next()?;
            Ok::<_, StoreError>((reading, batch))
        });
        // The last batch, and a failure, end it.
        Some(match read.await {
            Ok((reading, batch)) => {
                let rest = (!batch.done && reading.left > 0).then_some(reading);
                (Ok(served.signed(me(), batch)), (rest, me, served))
            }
            Err(why) => (Err(Status::unavailable(why.to_string())), (None, me, served)),
        })
    });
    let foreground = serving.foreground.clone();
    let rested = batches.flat_map(in_parts).then(move |batch| {
        let foreground = foreground.clone();
        async move {
            foreground.rest(batch.as_ref().map_or(0, |batch| batch.encoded_len() as u64)).await;
            batch
        }
    });
    Ok(rested.boxed())
}

/// A batch as it is sent: one with a large entry goes in parts.
fn in_parts(batch: Result<PullBatch, Status>) -> BoxStream<'static, Result<PullBatch, Status>> {
    match batch {
        Ok(batch) if batch.encoded_len() > WHOLE => {
            let cut = Cut::new(batch.encode_to_vec().into());
            let parts = stream::unfold(Some(cut), |cut| async move {
                let mut cut = cut?;
                let part = cut.next_part();
                let rest = (!part.last).then_some(cut);
                Some((Ok(PullBatch { part: Some(part), ..PullBatch::default() }), rest))
            });
            parts.boxed()
        }
        batch => stream::iter([batch]).boxed(),
    }
}

/// Who may pull what, and from where on.
fn admit(layouts: &Layouts, request: &PullRequest) -> Result<(Partition, Option<DataKey>), Status> {
    let sense = |why: wire::WireError| Status::invalid_argument(why.to_string());
    let sender = Sender::from_message(request.sender.as_ref()).map_err(sense)?;
    let stamp = wire::stamp(request.stamp.as_ref()).map_err(sense)?;
    let Some(standing) = layouts.current().filter(|standing| !standing.retired) else {
        return Err(Status::failed_precondition("this node has no layout yet, or has retired"));
    };
    let ours = sender.cluster_id.is_none_or(|cluster| cluster == standing.record.cluster_id());
    if !ours || !standing.admits(&sender.mark.node_id) {
        return Err(Status::permission_denied("only members of this cluster are answered"));
    }
    match layouts.judge(stamp) {
        Verdict::Accept => {}
        Verdict::SenderIsOld => {
            return Err(Status::failed_precondition("asked under a layout that has passed"));
        }
        Verdict::IAmOld => return Err(Status::unavailable("this node has not yet heard of that layout")),
        Verdict::Conflict => {
            return Err(Status::failed_precondition("asked under a layout that is not this one's"));
        }
    }
    let partition = u16::try_from(request.partition).map(Partition);
    let Some(partition) = partition.ok().filter(|partition| standing.holds(*partition)) else {
        return Err(Status::failed_precondition(format!("partition {} is not held here", request.partition)));
    };
    let after = (!request.after.is_empty()).then(|| DataKey::from_peer(request.after.clone())).transpose();
    let after = after.map_err(|why| Status::invalid_argument(format!("`after`: {why}")))?;
    Ok((partition, after))
}

/// A snapshot on its way to the one who asked.
struct Reading {
    local: Local,
    partition: Partition,
    after: Option<DataKey>,
    first: bool,
    /// Batches that may still be read.
    left: u32,
    foreground: Foreground,
}

impl Reading {
    /// At the beginning, or after a key: so many batches at the most, in pieces as `foreground` asks for.
    const fn new(
        local: Local,
        partition: Partition,
        after: Option<DataKey>,
        left: u32,
        foreground: Foreground,
    ) -> Self {
        Self { local, partition, after, first: true, left, foreground }
    }

    fn next(&mut self) -> Result<PullBatch, StoreError> {
        let scan =
            self.local.scan(self.partition, self.after.as_ref(), self.foreground.piece(BATCH_BYTES))?;
        let mut batch =
            PullBatch { done: !scan.more, crc32: checksum(&scan.entries), ..PullBatch::default() };
        if std::mem::take(&mut self.first) {
            let summary = self.local.summary(self.partition)?;
            (batch.snapshot_bytes, batch.snapshot_keys) = (summary.bytes, summary.keys);
        }
        if let Some((last, _)) = scan.entries.last() {
            self.after = Some(last.clone());
        }
        self.left = self.left.saturating_sub(1);
        batch.entries = scan.entries.into_iter().map(entry).collect();
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::exchange::KeyAndState;
    use super::super::fixture::{keys, local};
    use super::*;
    use crate::peer::parts::{Assembler, Came, PART};
    use crate::peer::room::Room;

    #[test]
    fn a_snapshot_comes_whole_in_order_and_may_begin_anywhere() {
        let keys = keys(10);
        let local = local(&keys.iter().map(|(_, key)| (key.as_str(), BATCH_BYTES / 3)).collect::<Vec<_>>());
        let read = |after: Option<DataKey>| {
            let mut reading = Reading::new(local.clone(), Partition(0), after, 99, Foreground::default());
            let mut batches = vec![reading.next().unwrap()];
            while !batches.last().unwrap().done {
                batches.push(reading.next().unwrap());
            }
            batches
        };
        let batches = read(None);
        assert!(batches.len() > 2);
        let summary = local.summary(Partition(0)).unwrap();
        assert_eq!((batches[0].snapshot_keys, batches[0].snapshot_bytes), (10, summary.bytes));
        let mut came = Vec::new();
        for batch in &batches {
            let entries: Vec<KeyAndState> = batch
                .entries
                .iter()
                .map(|entry| (DataKey::from_peer(entry.data_key.clone()).unwrap(), entry.state.clone()))
                .collect();
            assert_eq!(checksum(&entries), batch.crc32);
            came.extend(entries.into_iter().map(|(key, _)| key));
        }
        let expected: Vec<_> = keys.iter().map(|(_, key)| DataKey::of(key.as_bytes()).unwrap()).collect();
        assert_eq!(came, expected);
        let rest: usize = read(Some(expected[6].clone())).iter().map(|batch| batch.entries.len()).sum();
        assert_eq!(rest, 3);
    }

    #[tokio::test]
    async fn a_batch_with_a_large_entry_goes_in_parts() {
        let keys = keys(2);
        let local = local(&[(keys[0].1.as_str(), 3 << 20), (keys[1].1.as_str(), 10)]);
        let mut reading = Reading::new(local, Partition(0), None, 99, Foreground::default());
        let (large, small) = (reading.next().unwrap(), reading.next().unwrap());
        let whole: Vec<_> = in_parts(Ok(small.clone())).collect().await;
        assert_eq!(whole.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [small]);
        let (mut coming, room) = (Assembler::default(), Room::new(1 << 20));
        let mut came = Vec::new();
        let parts: Vec<_> = in_parts(Ok(large.clone())).collect().await;
        assert!(parts.len() > 6);
        for batch in parts {
            let batch = batch.unwrap();
            assert!(batch.encoded_len() <= PART + 64 && batch.entries.is_empty());
            if let Came::Whole(bytes, _) = coming.part(0, &batch.part.unwrap(), |n| room.take(n)).unwrap() {
                came.push(PullBatch::decode(bytes).unwrap());
            }
        }
        assert_eq!(came, [large]);
    }
}
