//! Many keys at once: one stream for each coordinator, and what failed is asked again as a single request would be.
//!
//! Each item has a result of its own, in the order in which the items were given.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dynamo_proto::v1 as proto;
use dynamo_proto::v1::kv_client::KvClient;
use dynamo_telemetry::propagate;
use futures::future::join_all;
use futures::{Stream, StreamExt, stream};
use tokio::time::timeout_at;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};
use tracing::Instrument;

use crate::attempt::{addresses, caller};
use crate::client::{Client, Inner, found};
use crate::error::Error;
use crate::failure::{Failure, as_put, unpack, written};
use crate::large;
use crate::options::{ReadOptions, WriteOptions};
use crate::retry::{Decision, Moment, decide};
use crate::router::{Intent, Place};
use crate::spans;
use crate::statistics::Counters;
use crate::value::{Context, Value, Written};

/// One write of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchWrite {
    /// A value in place of the versions that `context` has seen.
    Put {
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
        /// What the writer has seen.
        context: Context,
    },
    /// No value in place of them.
    Delete {
        /// The key.
        key: Bytes,
        /// What the writer has seen.
        context: Context,
    },
}

impl Client {
    /// All versions of each of these keys. Those that are too large for one message are read one after another, in pieces.
    pub async fn get_many<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        options: &ReadOptions,
    ) -> Vec<Result<Value, Error>> {
        let requests = keys.iter().map(|key| {
            let get = options.request(Bytes::copy_from_slice(key.as_ref()));
            (get.key.clone(), proto::BatchGetRequest { get: Some(get), ..proto::BatchGetRequest::default() })
        });
        let within = options.deadline.unwrap_or(self.0.options.deadline);
        let answers =
            run(&self.0, Intent::Read, requests.collect(), within).instrument(spans::call("GetMany")).await;
        let mut results = Vec::with_capacity(keys.len());
        for (key, answer) in keys.iter().zip(answers) {
            let answer = match answer {
                Err(Error::TooLarge(_)) => {
                    let message = options.request(Bytes::copy_from_slice(key.as_ref()));
                    large::read(&self.0, message, within).await
                }
                answer => answer,
            };
            results.push(answer.map(|answer| found(&self.0, answer)));
        }
        results
    }

    /// Carries out these writes, in any order: two of one key are concurrent, whatever their places. Each keeps its
    /// write id over all attempts, as a single write does.
    pub async fn write_many(
        &self,
        writes: Vec<BatchWrite>,
        options: &WriteOptions,
    ) -> Vec<Result<Written, Error>> {
        use proto::batch_put_request::Write;
        let request = |write: BatchWrite| {
            let (key, write) = match write {
                BatchWrite::Put { key, value, context } => {
                    (key.clone(), Write::Put(options.put(key, value, &context)))
                }
                BatchWrite::Delete { key, context } => {
                    (key.clone(), Write::Delete(options.delete(key, &context)))
                }
            };
            (key, proto::BatchPutRequest { write: Some(write), ..proto::BatchPutRequest::default() })
        };
        let within = options.deadline.unwrap_or(self.0.options.deadline);
        let requests = writes.into_iter().map(request).collect();
        let answers =
            run(&self.0, Intent::Write, requests, within).instrument(spans::call("WriteMany")).await;
        let taken = |answer: proto::PutResponse| {
            self.0.saw(answer.epoch);
            written(answer)
        };
        answers.into_iter().map(|answer| answer.map(taken)).collect()
    }
}

/// What batches of reads and of writes differ in.
trait Item: Clone + Send + 'static {
    /// What the stream answers with.
    type Message: Send + 'static;
    /// What an item ends in.
    type Answer;

    /// The same item under this id, with so much time left.
    fn with(&self, id: u64, left: Duration) -> Self;

    /// Opens the stream.
    fn call(
        client: KvClient<Channel>,
        request: Request<impl Stream<Item = Self> + Send + 'static>,
    ) -> impl Future<Output = Result<Response<Streaming<Self::Message>>, Status>> + Send;

    /// An answer, or nothing if it makes no sense.
    fn answer(message: Self::Message) -> (u64, Option<Result<Self::Answer, proto::ErrorStatus>>);
}

impl Item for proto::BatchGetRequest {
    type Message = proto::BatchGetResponse;
    type Answer = proto::GetResponse;

    fn with(&self, id: u64, left: Duration) -> Self {
        Self { id, deadline_ms: milliseconds(left), ..self.clone() }
    }

    async fn call(
        mut client: KvClient<Channel>,
        request: Request<impl Stream<Item = Self> + Send + 'static>,
    ) -> Result<Response<Streaming<Self::Message>>, Status> {
        client.batch_get(request).await
    }

    fn answer(message: Self::Message) -> (u64, Option<Result<Self::Answer, proto::ErrorStatus>>) {
        use proto::batch_get_response::Result as Body;
        let answer = message.result.map(|result| match result {
            Body::Found(found) => Ok(found),
            Body::Failed(status) => Err(status),
        });
        (message.id, answer)
    }
}

impl Item for proto::BatchPutRequest {
    type Message = proto::BatchPutResponse;
    type Answer = proto::PutResponse;

    fn with(&self, id: u64, left: Duration) -> Self {
        Self { id, deadline_ms: milliseconds(left), ..self.clone() }
    }

    async fn call(
        mut client: KvClient<Channel>,
        request: Request<impl Stream<Item = Self> + Send + 'static>,
    ) -> Result<Response<Streaming<Self::Message>>, Status> {
        client.batch_put(request).await
    }

    fn answer(message: Self::Message) -> (u64, Option<Result<Self::Answer, proto::ErrorStatus>>) {
        use proto::batch_put_response::Result as Body;
        let answer = message.result.map(|result| match result {
            Body::Put(put) => Ok(put),
            Body::Delete(delete) => Ok(as_put(delete)),
            Body::Failed(status) => Err(status),
        });
        (message.id, answer)
    }
}

fn milliseconds(left: Duration) -> u32 {
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// One item on its way to its end.
struct Open<I> {
    key: Bytes,
    item: I,
    attempts: u32,
    /// Addresses that failed it since the last pause, and are not asked again before the next.
    failed: Vec<String>,
}

/// How one stream ended for each of its items.
type Ended<I> = (String, Vec<(usize, Result<<I as Item>::Answer, Failure>)>);

async fn run<I: Item>(
    inner: &Inner,
    intent: Intent,
    items: Vec<(Bytes, I)>,
    within: Duration,
) -> Vec<Result<I::Answer, Error>> {
    let deadline = Instant::now() + within;
    let mut results: Vec<Option<Result<I::Answer, Error>>> = items.iter().map(|_| None).collect();
    let open = |(key, item)| Open { key, item, attempts: 0, failed: Vec::new() };
    let mut open: BTreeMap<usize, Open<I>> = items.into_iter().map(open).enumerate().collect();
    let mut pauses = 0u32;
    for _ in &open {
        Counters::add(&inner.counters.requests);
    }
    while !open.is_empty() {
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, item) in &mut open {
            let list = addresses(inner, intent, Place::Key(&item.key), pauses);
            let untried = list.iter().find(|address| !item.failed.contains(address));
            // There is always a seed.
            let Some(address) = untried.or(list.first()) else { continue };
            if item.attempts > 0 {
                Counters::add(&inner.counters.retries);
            }
            item.attempts = item.attempts.saturating_add(1);
            groups.entry(address.clone()).or_default().push(*at);
        }
        let streams = groups.into_iter().map(|(address, members)| {
            let items = members.into_iter().filter_map(|at| Some((at, open.get(&at)?.item.clone())));
            let span = spans::attempt(&address);
            one_stream(inner, address, items.collect(), deadline).instrument(span)
        });
        let ended: Vec<Ended<I>> = join_all(streams.collect::<Vec<_>>()).await;

        let mut pause: Option<Duration> = None;
        for (address, answers) in ended {
            // Once for all of its items: they are one observation.
            let suspect = answers.iter().any(|(_, answer)| answer.as_ref().is_err_and(|why| why.suspect));
            inner.note_failure(&address, suspect);
            for (at, answer) in answers {
                let Some(item) = open.get_mut(&at) else { continue };
                let failure = match answer {
                    Ok(answer) => {
                        open.remove(&at);
                        results[at] = Some(Ok(answer));
                        continue;
                    }
                    Err(failure) => failure,
                };
                item.failed.push(address.clone());
                let list = addresses(inner, intent, Place::Key(&item.key), pauses);
                let moment = Moment {
                    kind: failure.kind,
                    pauses,
                    untried: list.iter().filter(|address| !item.failed.contains(address)).count(),
                    left: deadline.saturating_duration_since(Instant::now()),
                    jitter: rand::random(),
                };
                match decide(moment) {
                    Decision::Next => {}
                    Decision::After(wait) => {
                        item.failed.clear();
                        pause = Some(pause.map_or(wait, |pause| pause.max(wait)));
                    }
                    Decision::GiveUp => {
                        let attempts = item.attempts;
                        open.remove(&at);
                        results[at] = Some(Err(failure.into_error(attempts)));
                    }
                }
            }
        }
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
            pauses = pauses.saturating_add(1);
        }
    }
    let missing = || Error::Answer("an item of a batch was left without an answer".to_owned());
    results.into_iter().map(|result| result.unwrap_or_else(|| Err(missing()))).collect()
}

/// Sends these items to one coordinator. Who gave no answer to an item gets no further time: a batch is as slow as its
/// slowest item, so the attempt's patience begins anew with each answer.
async fn one_stream<I: Item>(
    inner: &Inner,
    address: String,
    items: Vec<(usize, I)>,
    deadline: Instant,
) -> Ended<I> {
    let mut open: BTreeMap<u64, usize> = BTreeMap::new();
    let mut answers = Vec::new();
    let left = deadline.saturating_duration_since(Instant::now());
    let sent: Vec<I> = items
        .into_iter()
        .zip(0u64..)
        .map(|((at, item), id)| {
            open.insert(id, at);
            item.with(id, left.min(inner.options.attempt))
        })
        .collect();
    let patience = || tokio::time::Instant::from_std(deadline.min(Instant::now() + inner.options.attempt));
    let broken = async {
        let client = caller(inner, &address)
            .map_err(|why| Failure::of(&address, &Status::invalid_argument(why.to_string())))?;
        let mut request = Request::new(stream::iter(sent));
        request.set_timeout(left);
        propagate::inject(request.metadata_mut());
        let late = || Failure::timed_out(&address);
        let opened = timeout_at(patience(), I::call(client, request)).await.map_err(|_| late())?;
        let mut messages = opened.map_err(|status| Failure::of(&address, &status))?.into_inner();
        while !open.is_empty() {
            let message = timeout_at(patience(), messages.next()).await.map_err(|_| late())?;
            // It ended in good order: the node stops.
            let ended = || Err(Status::new(Code::Unavailable, "the node ended the stream"));
            let message = message.unwrap_or_else(ended).map_err(|status| Failure::of(&address, &status))?;
            inner.with_health(|health| health.answered(&address));
            let (id, answer) = I::answer(message);
            let Some(at) = open.remove(&id) else { continue };
            let nonsense = || Failure::of(&address, &Status::internal("an answer without a result"));
            let failed = |status| Failure::of(&address, &unpack(status));
            answers.push((at, answer.ok_or_else(nonsense).and_then(|answer| answer.map_err(failed))));
        }
        Ok::<(), Failure>(())
    };
    if let Err(failure) = broken.await {
        answers.extend(open.into_values().map(|at| (at, Err(failure.clone()))));
    }
    (address, answers)
}
