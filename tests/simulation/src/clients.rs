//! Clients: each one request after another, over a network of its own that loses, repeats and delays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use dynamo_checker::{OpId, Outcome, Terms, Value};
use dynamo_node::api::kv::KvService;
use dynamo_proto::v1::kv_server::Kv;
use dynamo_proto::v1::{DeleteRequest, GetRequest, PutRequest};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{sleep, timeout};
use tonic::{Code, Request, Status};

use crate::chance::Chance;
use crate::run::Log;
use crate::world::{Door, QUORUM, World};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What one client knows.
struct Client<'a> {
    world: &'a World,
    chance: &'a Chance,
    log: &'a Log,
    keys: usize,
    /// The last read of each key: its place in the history, and the context that it returned.
    seen: BTreeMap<u32, (OpId, Bytes)>,
}

/// One answer, or the news that there is none.
enum Answer<T> {
    Is(T),
    Refused,
    Unknown,
}

/// One client's requests, `count` of them.
pub async fn run(world: &World, chance: &Chance, log: &Log, keys: usize, count: usize) {
    let mut client = Client { world, chance, log, keys, seen: BTreeMap::new() };
    for _ in 0..count {
        sleep(chance.micros(500, 60_000)).await;
        client.step().await;
    }
}

/// The bytes of a key.
pub fn key_bytes(key: u32) -> Bytes {
    format!("key-{key}").into()
}

/// What all of a key's replicas answer together.
///
/// # Errors
/// When they do not answer though all is well, in words.
pub async fn read_all(world: &World, key: u32) -> Result<BTreeSet<Value>, String> {
    let mut last = "no machine runs".to_owned();
    for _ in 0..20 {
        for machine in 0..world.hosts.len() {
            let Some((kv, _)) = world.door(machine) else { continue };
            let message = GetRequest {
                key: key_bytes(key),
                r: Some(QUORUM.n.into()),
                strict: true,
                ..Default::default()
            };
            match kv.get(Request::new(message)).await {
                Ok(answer) => return Ok(values(&answer.into_inner())),
                Err(why) => last = why.to_string(),
            }
        }
        sleep(Duration::from_millis(500)).await;
    }
    Err(format!("key {key} cannot be read from all of its replicas: {last}"))
}

fn values(answer: &dynamo_proto::v1::GetResponse) -> BTreeSet<Value> {
    let number = |bytes: &Bytes| bytes[..].try_into().map_or(Value::MAX, Value::from_be_bytes);
    answer.siblings.iter().map(|sibling| number(&sibling.value)).collect()
}

impl Client<'_> {
    async fn step(&mut self) {
        let key = u32::try_from(self.chance.0.below(self.keys)).unwrap_or_default();
        let strict = self.chance.one_in(2);
        match self.chance.0.below(10) {
            0..=4 => self.get(key, strict).await,
            5..=7 => self.put(key, strict).await,
            _ => self.delete(key, strict).await,
        }
    }

    async fn get(&mut self, key: u32, strict: bool) {
        let id = self.log.begin(key, dynamo_checker::Request::Get, terms(strict, QUORUM.r));
        let message = GetRequest { key: key_bytes(key), strict, ..Default::default() };
        let machine = self.chance.0.below(self.world.hosts.len());
        let answer = self.call(machine, |kv| {
            let message = message.clone();
            async move { kv.get(timed(message)).await.map(tonic::Response::into_inner) }.boxed()
        });
        let (outcome, answered) = match answer.await {
            Answer::Is(answer) => {
                self.seen.insert(key, (id, answer.context.clone()));
                (Outcome::Read(values(&answer)), answer.answered)
            }
            Answer::Refused | Answer::Unknown => (Outcome::Unknown, 0),
        };
        self.log.end(id, outcome, answered, false);
    }

    /// The context of the last read, mostly, however old it is.
    fn context(&mut self, key: u32) -> (Option<OpId>, Bytes) {
        let blind = self.chance.one_in(4);
        let seen = if blind { None } else { self.seen.get(&key).cloned() };
        seen.map_or((None, Bytes::new()), |(id, context)| (Some(id), context))
    }

    async fn put(&mut self, key: u32, strict: bool) {
        let (seen, context) = self.context(key);
        let value = self.log.fresh_value();
        let id = self.log.begin(key, dynamo_checker::Request::Put { value, seen }, terms(strict, QUORUM.w));
        let message = PutRequest {
            key: key_bytes(key),
            value: value.to_be_bytes().to_vec().into(),
            context,
            strict,
            write_id: self.write_id(),
            ..Default::default()
        };
        self.write(id, |kv| {
            let message = message.clone();
            async move { Ok(kv.put(timed(message)).await?.into_inner().answered) }.boxed()
        })
        .await;
    }

    async fn delete(&mut self, key: u32, strict: bool) {
        let (seen, context) = self.context(key);
        let id = self.log.begin(key, dynamo_checker::Request::Delete { seen }, terms(strict, QUORUM.w));
        let message = DeleteRequest {
            key: key_bytes(key),
            context,
            strict,
            write_id: self.write_id(),
            ..Default::default()
        };
        self.write(id, |kv| {
            let message = message.clone();
            async move { Ok(kv.delete(timed(message)).await?.into_inner().answered) }.boxed()
        })
        .await;
    }

    fn write_id(&self) -> Bytes {
        Bytes::copy_from_slice(&self.chance.0.draw::<[u8; 16]>())
    }

    /// A write, which is tried again with its write id: at another machine, mostly.
    async fn write(&self, id: OpId, send: impl Fn(KvService) -> BoxFuture<'static, Result<u32, Status>>) {
        let (mut repeated, mut unknown) = (false, false);
        for attempt in 0..=self.chance.0.below(3) {
            let machine = self.chance.0.below(self.world.hosts.len());
            repeated |= attempt > 0 && unknown;
            // The network brings it twice: the other time to nobody who would wait for the answer.
            if self.chance.one_in(20)
                && let Some((kv, mut gone)) = self.world.door(machine)
            {
                repeated = true;
                let (late, again) = (self.chance.micros(100, 400_000), send(kv));
                tokio::spawn(async move {
                    sleep(late).await;
                    tokio::select! {
                        biased;
                        _ = gone.changed() => {}
                        _ = again => {}
                    }
                });
            }
            match self.call(machine, &send).await {
                Answer::Is(answered) => return self.log.end(id, Outcome::Acknowledged, answered, repeated),
                Answer::Refused => {}
                Answer::Unknown => unknown = true,
            }
            sleep(self.chance.micros(1_000, 100_000)).await;
        }
        let outcome = if unknown || repeated { Outcome::Unknown } else { Outcome::Refused };
        self.log.end(id, outcome, 0, repeated);
    }

    /// One call of one machine: it, or its answer, may be lost or late, and its process may go meanwhile.
    async fn call<T>(
        &self,
        machine: usize,
        send: impl Fn(KvService) -> BoxFuture<'static, Result<T, Status>>,
    ) -> Answer<T> {
        let (lost, answer_lost) = (self.chance.one_in(50), self.chance.one_in(50));
        sleep(self.world.net.delay()).await;
        let Some((kv, mut gone)): Option<Door> = self.world.door(machine) else { return Answer::Refused };
        if lost {
            sleep(PATIENCE).await;
            return Answer::Unknown;
        }
        let call = async {
            tokio::select! {
                biased;
                _ = gone.changed() => Err(Status::unavailable("the process has gone")),
                answered = timeout(PATIENCE, send(kv)) => {
                    answered.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")))
                }
            }
        };
        let answered = call.await;
        sleep(self.world.net.delay()).await;
        match answered {
            Ok(_) if answer_lost => Answer::Unknown,
            Ok(answer) => Answer::Is(answer),
            Err(status) if begun_nothing(status.code()) => Answer::Refused,
            Err(_) => Answer::Unknown,
        }
    }
}

/// Codes that say that nothing was begun (docs of the Kv service).
fn begun_nothing(code: Code) -> bool {
    matches!(code, Code::ResourceExhausted | Code::InvalidArgument | Code::FailedPrecondition)
}

/// Of a request that leaves the quorum to the cluster.
fn terms(strict: bool, quorum: u8) -> Terms {
    Terms { strict, quorum: quorum.into(), partial: false }
}

/// With the time that the client waits.
fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}
