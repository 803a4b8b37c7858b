//! One client: one request after another, by the library or straight to members.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use dynamo_checker::{OpId, Outcome, Request, Value};
use dynamo_client::pool::Pool;
use dynamo_client::{Client, Context, Error, Options, ReadOptions, WriteOptions};
use dynamo_proto::v1::kv_client::KvClient;
use dynamo_proto::v1::{DeleteRequest, GetRequest, PutRequest};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::choose::{Choices, Step, Way, What};
use super::values;
use crate::record::{Ending, Recorder};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_millis(1500);
/// How long a request by the library may take, its retries included.
const DEADLINE: Duration = Duration::from_secs(3);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_millis(500);

/// What a request came to.
struct Answer {
    outcome: Outcome,
    answered: u32,
    repeated: bool,
    /// The context that came with it, if one did.
    context: Option<Bytes>,
}

type Call = BoxFuture<'static, Result<(u32, Bytes), Status>>;

/// One client.
#[derive(Debug)]
pub struct Worker {
    choices: Choices,
    recorder: Recorder,
    round: String,
    client: Client,
    addresses: Vec<String>,
    pool: Pool,
    /// For each key the last answer that had a context, and that context.
    seen: BTreeMap<u32, (OpId, Bytes)>,
    /// Requests that were sent a second time and that nobody waits for.
    beside: Vec<JoinHandle<()>>,
}

impl Worker {
    /// A client of the cluster whose members are at these addresses.
    ///
    /// # Errors
    /// When none of them answers.
    pub async fn connect(
        choices: Choices,
        recorder: Recorder,
        round: String,
        addresses: Vec<String>,
    ) -> Result<Self, Error> {
        // Its own, for its statistics: they say whether a request was tried again.
        let options =
            Options { deadline: DEADLINE, attempt: ATTEMPT, connect: CONNECT, ..Options::default() };
        let client = Client::connect(addresses.clone(), options).await?;
        let pool = Pool::new(CONNECT);
        let (seen, beside) = (BTreeMap::new(), Vec::new());
        Ok(Self { choices, recorder, round, client, addresses, pool, seen, beside })
    }

    /// Goes on until it is told to stop, and until nothing is under way any more.
    pub async fn run(mut self, stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let step = self.choices.step();
            sleep(step.pause).await;
            self.perform(&step).await;
            self.beside.retain(|one| !one.is_finished());
        }
        join_all(self.beside).await;
    }

    async fn perform(&mut self, step: &Step) {
        let key = values::key(&self.round, step.key);
        let (seen, context) = match self.seen.get(&step.key) {
            Some((id, context)) if !step.blind => (Some(*id), context.clone()),
            _ => (None, Bytes::new()),
        };
        let (id, answer) = match step.what {
            What::Get => {
                let id = self.recorder.begin(step.key, Request::Get, step.terms);
                (id, self.get(step, key).await)
            }
            What::Put => {
                let value = self.recorder.fresh_value();
                let id = self.recorder.begin(step.key, Request::Put { value, seen }, step.terms);
                (id, self.put(step, key, values::bytes(value), context).await)
            }
            What::Delete => {
                let id = self.recorder.begin(step.key, Request::Delete { seen }, step.terms);
                (id, self.delete(step, key, context).await)
            }
        };
        let Answer { outcome, answered, repeated, context } = answer;
        self.recorder.end(id, Ending { outcome, answered, repeated });
        if let Some(context) = context.filter(|_| step.remember) {
            self.seen.insert(step.key, (id, context));
        }
    }

    async fn get(&self, step: &Step, key: Bytes) -> Answer {
        let (r, strict, allow_partial) = (step.own, step.terms.strict, step.terms.partial);
        let Way::Members { members, .. } = &step.way else {
            let options = ReadOptions { r, strict, allow_partial, ..ReadOptions::default() };
            return match self.client.get(&key, &options).await {
                Ok(found) => {
                    let values = found.siblings.iter().map(|sibling| values::number(&sibling.value));
                    read(values.collect(), found.answered, found.context.0)
                }
                Err(_) => unknown(false),
            };
        };
        let message = GetRequest { key, r, strict, allow_partial, ..GetRequest::default() };
        let Some(mut member) = members.first().and_then(|member| self.member(*member)) else {
            return unknown(false);
        };
        match timeout(ATTEMPT, member.get(timed(message))).await {
            Ok(Ok(found)) => {
                let found = found.into_inner();
                let values = found.siblings.iter().map(|sibling| values::number(&sibling.value));
                read(values.collect(), found.answered, found.context)
            }
            Ok(Err(_)) | Err(_) => unknown(false),
        }
    }

    async fn put(&mut self, step: &Step, key: Bytes, value: Bytes, context: Bytes) -> Answer {
        let (w, strict) = (step.own, step.terms.strict);
        let Way::Members { members, doubled } = &step.way else {
            let options = WriteOptions { w, strict, ..WriteOptions::default() };
            let before = self.client.statistics().retries;
            let written = self.client.put(&key, value, &Context(context), &options).await;
            return self.written(before, written);
        };
        let message =
            PutRequest { key, value, context, w, strict, write_id: write_id(), ..PutRequest::default() };
        let call = move |mut member: KvClient<Channel>| -> Call {
            let request = timed(message.clone());
            async move {
                let answer = member.put(request).await?.into_inner();
                Ok((answer.answered, answer.context))
            }
            .boxed()
        };
        self.straight(members, *doubled, call).await
    }

    async fn delete(&mut self, step: &Step, key: Bytes, context: Bytes) -> Answer {
        let (w, strict) = (step.own, step.terms.strict);
        let Way::Members { members, doubled } = &step.way else {
            let options = WriteOptions { w, strict, ..WriteOptions::default() };
            let before = self.client.statistics().retries;
            let written = self.client.delete(&key, &Context(context), &options).await;
            return self.written(before, written);
        };
        let message = DeleteRequest { key, context, w, strict, write_id: write_id() };
        let call = move |mut member: KvClient<Channel>| -> Call {
            let request = timed(message.clone());
            async move {
                let answer = member.delete(request).await?.into_inner();
                Ok((answer.answered, answer.context))
            }
            .boxed()
        };
        self.straight(members, *doubled, call).await
    }

    /// What the library's answer to a write says.
    fn written(&self, retries_before: u64, answer: Result<dynamo_client::Written, Error>) -> Answer {
        let repeated = self.client.statistics().retries > retries_before;
        match answer {
            Ok(written) => acknowledged(
                written.answered,
                repeated,
                written.context.map(|context| context.0).unwrap_or_default(),
            ),
            Err(Error::Invalid(_) | Error::TooManyVersions { .. } | Error::Denied(_)) if !repeated => {
                refused()
            }
            Err(_) => unknown(repeated),
        }
    }

    /// A write straight to members, one after another.
    async fn straight(
        &mut self,
        members: &[usize],
        doubled: bool,
        call: impl Fn(KvClient<Channel>) -> Call,
    ) -> Answer {
        let (mut repeated, mut begun) = (false, false);
        if let Some(other) = members.first().filter(|_| doubled).and_then(|first| self.member(first + 1)) {
            let again = call(other);
            self.beside.push(tokio::spawn(async move {
                // Nobody waits for this answer.
                let _ = timeout(ATTEMPT, again).await;
            }));
            (repeated, begun) = (true, true);
        }
        for member in members {
            let Some(member) = self.member(*member) else { continue };
            repeated |= begun;
            match timeout(ATTEMPT, call(member)).await {
                Ok(Ok((answered, context))) => return acknowledged(answered, repeated, context),
                Ok(Err(status)) if begun_nothing(status.code()) => {}
                Ok(Err(_)) | Err(_) => begun = true,
            }
        }
        if begun { unknown(repeated) } else { refused() }
    }

    /// What calls a member, by its number or that of another round of them.
    fn member(&self, number: usize) -> Option<KvClient<Channel>> {
        let address = self.addresses.get(number % self.addresses.len().max(1))?;
        Some(KvClient::new(self.pool.channel(address).ok()?))
    }
}

fn read(values: BTreeSet<Value>, answered: u32, context: Bytes) -> Answer {
    Answer { outcome: Outcome::Read(values), answered, repeated: false, context: Some(context) }
}

/// A write whose answer has no context stands beside others: the next one needs a read before.
fn acknowledged(answered: u32, repeated: bool, context: Bytes) -> Answer {
    let context = (!context.is_empty()).then_some(context);
    Answer { outcome: Outcome::Acknowledged, answered, repeated, context }
}

const fn unknown(repeated: bool) -> Answer {
    Answer { outcome: Outcome::Unknown, answered: 0, repeated, context: None }
}

const fn refused() -> Answer {
    Answer { outcome: Outcome::Refused, answered: 0, repeated: false, context: None }
}

/// Codes that say that nothing was begun (docs of the Kv service).
fn begun_nothing(code: Code) -> bool {
    matches!(code, Code::ResourceExhausted | Code::InvalidArgument | Code::FailedPrecondition)
}

fn write_id() -> Bytes {
    Bytes::copy_from_slice(&rand::random::<[u8; 16]>())
}

/// With the time that the client waits.
fn timed<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(ATTEMPT);
    request
}
