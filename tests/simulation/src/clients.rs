//! Clients: each one request after another, over a network of its own that loses, repeats and delays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use dynamo_checker::{OpId, Outcome, Terms, Value};
use dynamo_node::api::kv::KvService;
use dynamo_proto::v1::kv_server::Kv;
use dynamo_proto::v1::{DeleteRequest, DeleteResponse, GetRequest, PutRequest, PutResponse};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{sleep, timeout};
use tonic::{Code, Request, Status};

use crate::chance::Chance;
use crate::run::{Log, Size};
use crate::world::{Door, QUORUM, World};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What one client knows.
struct Client<'a> {
    world: &'a World,
    chance: &'a Chance,
    log: &'a Log,
    size: Size,
    habits: Habits,
    /// The last answer of each key that had a context: its request's place in the history, and that context.
    seen: BTreeMap<u32, (OpId, Bytes)>,
    /// The last acknowledged write of each key, and the witness of it.
    written: BTreeMap<u32, (OpId, Bytes)>,
}

/// What a write was answered with.
struct Written {
    answered: u32,
    context: Bytes,
    witness: Bytes,
}

impl From<PutResponse> for Written {
    fn from(PutResponse { answered, context, witness, .. }: PutResponse) -> Self {
        Self { answered, context, witness }
    }
}

impl From<DeleteResponse> for Written {
    fn from(DeleteResponse { answered, context, witness, .. }: DeleteResponse) -> Self {
        Self { answered, context, witness }
    }
}

/// One answer, or the news that there is none.
enum Answer<T> {
    Is(T),
    Refused,
    Unknown,
}

/// What clients ask for, and what they do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habits {
    /// No write asks for fewer members than this.
    pub least_w: u32,
}

impl Default for Habits {
    fn default() -> Self {
        Self { least_w: 1 }
    }
}

/// One client's requests.
pub async fn run(world: &World, chance: &Chance, log: &Log, size: Size, habits: Habits) {
    let (seen, written) = (BTreeMap::new(), BTreeMap::new());
    let mut client = Client { world, chance, log, size, habits, seen, written };
    let pause = u64::try_from(size.pause.as_micros()).unwrap_or(u64::MAX);
    for _ in 0..size.requests {
        sleep(chance.micros(500, pause)).await;
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
        let key = u32::try_from(self.chance.0.below(self.size.keys)).unwrap_or_default();
        match self.chance.0.below(11) {
            0..=4 => self.get(key).await,
            5..=7 => self.put(key).await,
            8..=9 => self.delete(key).await,
            _ => self.touch_mortal().await,
        }
    }

    /// Whether only the key's own members count, and the r or w of the request: the cluster's, mostly.
    fn terms(&self, usual: u8) -> Terms {
        let strict = self.chance.one_in(2);
        let own = self.chance.one_in(4).then(|| 1 + self.chance.0.below(QUORUM.n.into()));
        let quorum = own.and_then(|own| u32::try_from(own).ok()).unwrap_or(usual.into());
        Terms { strict, quorum, partial: false }
    }

    fn write_terms(&self) -> Terms {
        let terms = self.terms(QUORUM.w);
        Terms { quorum: terms.quorum.max(self.habits.least_w), ..terms }
    }

    async fn get(&mut self, key: u32) {
        let terms = Terms { partial: self.chance.one_in(6), ..self.terms(QUORUM.r) };
        let demanded = self.written.get(&key).cloned().filter(|_| self.chance.one_in(3));
        let id = self.log.begin(key, dynamo_checker::Request::Get, terms);
        let message = GetRequest {
            key: key_bytes(key),
            r: own(terms, QUORUM.r),
            strict: terms.strict,
            allow_partial: terms.partial,
            at_least: demanded.iter().map(|(_, witness)| witness.clone()).collect(),
        };
        let machine = self.world.machine(self.chance);
        let answer = self.call(machine, |kv| {
            let message = message.clone();
            async move { kv.get(timed(message)).await.map(tonic::Response::into_inner) }.boxed()
        });
        let (outcome, answered) = match answer.await {
            Answer::Is(answer) => {
                self.seen.insert(key, (id, answer.context.clone()));
                if let Some((write, _)) = demanded.filter(|_| !answer.behind) {
                    self.log.covers(id, write);
                }
                (Outcome::Read(values(&answer)), answer.answered)
            }
            Answer::Refused | Answer::Unknown => (Outcome::Unknown, 0),
        };
        self.log.end(id, outcome, answered, false);
    }

    /// The context of the last answer, mostly, however old it is.
    fn context(&mut self, key: u32) -> (Option<OpId>, Bytes) {
        let blind = self.chance.one_in(4);
        let seen = if blind { None } else { self.seen.get(&key).cloned() };
        seen.map_or((None, Bytes::new()), |(id, context)| (Some(id), context))
    }

    async fn put(&mut self, key: u32) {
        let (seen, context) = self.context(key);
        let (value, terms) = (self.log.fresh_value(), self.write_terms());
        let id = self.log.begin(key, dynamo_checker::Request::Put { value, seen }, terms);
        let message = PutRequest {
            key: key_bytes(key),
            value: value.to_be_bytes().to_vec().into(),
            context,
            w: own(terms, QUORUM.w),
            strict: terms.strict,
            write_id: self.write_id(),
            ttl_ms: None,
        };
        self.write(key, id, |kv| {
            let message = message.clone();
            async move { Ok(kv.put(timed(message)).await?.into_inner().into()) }.boxed()
        })
        .await;
    }

    async fn delete(&mut self, key: u32) {
        let (seen, context) = self.context(key);
        let terms = self.write_terms();
        let id = self.log.begin(key, dynamo_checker::Request::Delete { seen }, terms);
        let message = DeleteRequest {
            key: key_bytes(key),
            context,
            w: own(terms, QUORUM.w),
            strict: terms.strict,
            write_id: self.write_id(),
        };
        self.write(key, id, |kv| {
            let message = message.clone();
            async move { Ok(kv.delete(timed(message)).await?.into_inner().into()) }.boxed()
        })
        .await;
    }

    /// A value with a time to live, at a key of its own. When it is gone depends on clocks that are off by up to an hour,
    /// so nothing is held against what is read: only that replicas are alike in the end.
    async fn touch_mortal(&self) {
        let (machine, ttl) = (self.world.machine(self.chance), 1 + self.chance.0.below(2000));
        let message = PutRequest {
            key: Bytes::from_static(b"mortal"),
            value: self.write_id(),
            ttl_ms: u64::try_from(ttl).ok(),
            write_id: self.write_id(),
            ..Default::default()
        };
        // Refused, lost or taken: each is well.
        let _: Answer<()> = self
            .call(machine, |kv| {
                let message = message.clone();
                async move { kv.put(timed(message)).await.map(drop) }.boxed()
            })
            .await;
    }

    fn write_id(&self) -> Bytes {
        Bytes::copy_from_slice(&self.chance.0.draw::<[u8; 16]>())
    }

    /// A write, which is tried again with its write id: at another machine, mostly.
    async fn write(
        &mut self,
        key: u32,
        id: OpId,
        send: impl Fn(KvService) -> BoxFuture<'static, Result<Written, Status>>,
    ) {
        let (mut repeated, mut unknown) = (false, false);
        for attempt in 0..=self.chance.0.below(3) {
            let machine = self.world.machine(self.chance);
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
                Answer::Is(Written { answered, context, witness }) => {
                    if !context.is_empty() {
                        self.seen.insert(key, (id, context));
                    }
                    if !witness.is_empty() {
                        self.written.insert(key, (id, witness));
                    }
                    return self.log.end(id, Outcome::Acknowledged, answered, repeated);
                }
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

/// The r or w that a request names; none if it leaves that to the cluster.
fn own(terms: Terms, usual: u8) -> Option<u32> {
    (terms.quorum != u32::from(usual)).then_some(terms.quorum)
}

/// With the time that the client waits.
fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}
