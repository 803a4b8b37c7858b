//! The calls that an application makes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use dynamo_proto::v1 as proto;
use dynamo_proto::v1::kv_client::KvClient;
use dynamo_ring::Record;
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::attempt;
use crate::error::Error;
use crate::failure::{Failure, as_put, written};
use crate::health::Health;
use crate::hedge::Hedging;
use crate::keeper;
use crate::knowledge::{Knowledge, Taken};
use crate::large;
use crate::options::{Options, ReadOptions, WriteOptions};
use crate::pool::{self, LARGEST_MESSAGE, Pool};
use crate::router::{Intent, Place};
use crate::statistics::{Counters, Statistics};
use crate::value::{Context, Sibling, Value, Written};

/// A client of one cluster. Cheap to clone; all clones share their connections and what they know.
#[derive(Debug, Clone)]
pub struct Client(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) seeds: Vec<String>,
    pub(crate) pool: Pool,
    pub(crate) knowledge: Knowledge,
    pub(crate) counters: Counters,
    health: Mutex<Health>,
    hedging: Mutex<Hedging>,
    /// Something hints at a newer layout.
    doubt: AtomicBool,
}

impl Client {
    /// A client of the cluster that these addresses (`host:port`) belong to. Asks all of them for the layout and
    /// returns with the first answer; the others are not needed then.
    ///
    /// # Errors
    /// [`Error::NoSeed`], [`Error::Address`], or [`Error::NoAnswer`] when none answered within the deadline.
    pub async fn connect<S: Into<String>>(
        seeds: impl IntoIterator<Item = S>,
        options: Options,
    ) -> Result<Self, Error> {
        let seeds: Vec<String> = seeds.into_iter().map(Into::into).collect();
        if seeds.is_empty() {
            return Err(Error::NoSeed);
        }
        for seed in &seeds {
            pool::endpoint(seed, options.connect)?;
        }
        let inner = Arc::new(Inner {
            pool: Pool::new(options.connect),
            options,
            seeds,
            knowledge: Knowledge::default(),
            counters: Counters::default(),
            health: Mutex::default(),
            hedging: Mutex::default(),
            doubt: AtomicBool::new(false),
        });
        inner.first_answer().await?;
        tokio::spawn(keeper::run(Arc::downgrade(&inner)));
        Ok(Self(inner))
    }

    /// All versions of `key`, however large they are together, up to [`Options::largest_answer`].
    pub async fn get(&self, key: &[u8], options: &ReadOptions) -> Result<Value, Error> {
        let message = options.request(Bytes::copy_from_slice(key));
        let within = options.deadline.unwrap_or(self.0.options.deadline);
        let call = |mut client: KvClient<_>, request| async move { client.get(request).await };
        let asked = message.clone();
        let place = Place::Key(key);
        let answer = match attempt::run(&self.0, "Get", Intent::Read, place, message, within, call).await {
            Err(Error::TooLarge(_)) => large::read(&self.0, asked, within).await?,
            answer => answer?,
        };
        Ok(found(&self.0, answer))
    }

    /// Writes `value`, in place of the versions that `context` has seen. All attempts carry one write id, so that a
    /// coordinator that knows an earlier one makes no second version.
    pub async fn put(
        &self,
        key: &[u8],
        value: impl Into<Bytes>,
        context: &Context,
        options: &WriteOptions,
    ) -> Result<Written, Error> {
        let message = options.put(Bytes::copy_from_slice(key), value.into(), context);
        let within = options.deadline.unwrap_or(self.0.options.deadline);
        let call = |mut client: KvClient<_>, request| async move { client.put(request).await };
        let place = Place::Key(key);
        let answer = attempt::run(&self.0, "Put", Intent::Write, place, message, within, call).await?;
        self.0.saw(answer.epoch);
        Ok(written(answer))
    }

    /// Deletes the versions that `context` has seen. A concurrent write survives.
    pub async fn delete(
        &self,
        key: &[u8],
        context: &Context,
        options: &WriteOptions,
    ) -> Result<Written, Error> {
        let message = options.delete(Bytes::copy_from_slice(key), context);
        let within = options.deadline.unwrap_or(self.0.options.deadline);
        let call = |mut client: KvClient<_>, request| async move { client.delete(request).await };
        let place = Place::Key(key);
        let answer = attempt::run(&self.0, "Delete", Intent::Write, place, message, within, call).await?;
        self.0.saw(answer.epoch);
        Ok(written(as_put(answer)))
    }

    /// The layout record as far as this client knows it; none before the cluster has one.
    pub fn layout(&self) -> Option<Arc<Record>> {
        self.0.knowledge.record()
    }

    /// Asks for the layout record now.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] when nobody answered; what was known stays known.
    pub async fn refresh(&self) -> Result<Option<Arc<Record>>, Error> {
        self.0.refresh().await?;
        Ok(self.layout())
    }

    /// What this client has counted.
    pub fn statistics(&self) -> Statistics {
        self.0.counters.read()
    }
}

/// What a read has found.
pub(crate) fn found(inner: &Inner, answer: proto::GetResponse) -> Value {
    inner.saw(answer.epoch);
    let sibling = |s: proto::Sibling| Sibling {
        value: s.value,
        written_at_ms: s.written_at_ms,
        expires_at_ms: s.expires_at_ms,
    };
    Value {
        siblings: answer.siblings.into_iter().map(sibling).collect(),
        context: Context(answer.context),
        answered: answer.answered,
        sloppy: answer.sloppy,
        behind: answer.behind,
        epoch: answer.epoch,
        tombstones: answer.tombstones,
        expired: answer.expired,
    }
}

impl Inner {
    pub(crate) fn with_health<T>(&self, look: impl FnOnce(&mut Health) -> T) -> T {
        look(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn note_failure(&self, address: &str, suspect: bool) {
        if suspect {
            self.with_health(|health| health.failed(address, Instant::now()));
            // The member may have gone for good: a newer layout would say so.
            self.doubt.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn with_hedging<T>(&self, look: impl FnOnce(&mut Hedging) -> T) -> T {
        look(&mut self.hedging.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn saw(&self, epoch: u64) {
        if self.knowledge.doubts(epoch) {
            self.doubt.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn doubts(&self) -> bool {
        self.doubt.load(Ordering::Relaxed)
    }

    pub(crate) fn clear_doubt(&self) {
        self.doubt.store(false, Ordering::Relaxed);
    }

    pub(crate) fn moving(&self) -> bool {
        self.knowledge.moving()
    }

    /// Asks one address for its layout record, and takes it if it is newer.
    pub(crate) async fn ask_layout(&self, address: &str) -> Result<(), Error> {
        let channel = self.pool.channel(address)?;
        let mut client = KvClient::new(channel).max_decoding_message_size(LARGEST_MESSAGE);
        let answer = client
            .get_layout(proto::GetLayoutRequest {})
            .await
            .map_err(|status| Failure::of(address, &status).into_error(1))?;
        let bytes = answer.into_inner().record;
        if bytes.is_empty() {
            return Ok(());
        }
        let wrong =
            |what: &dyn std::fmt::Display| Error::Answer(format!("the layout that {address} sent: {what}"));
        let text = std::str::from_utf8(&bytes).map_err(|e| wrong(&e))?;
        let record = Record::from_json(text).map_err(|e| wrong(&e))?;
        match self.knowledge.offer(record) {
            Taken::NotNewer => Ok(()),
            Taken::OtherCluster(reason) => Err(wrong(&reason)),
            Taken::Newer => {
                Counters::add(&self.counters.layouts);
                self.forget_who_left();
                Ok(())
            }
        }
    }

    /// Asks everyone known until one answers. The seeds too, at the same time: the members may all have moved.
    pub(crate) async fn refresh(&self) -> Result<(), Error> {
        let mut list = self.seeds.clone();
        if let (true, Some(record)) = (self.options.direct, self.knowledge.record()) {
            list.extend(
                record.view().members().map(|m| m.address.clone()).filter(|a| !self.seeds.contains(a)),
            );
        }
        // Three at once: enough that one slow member does not hold it up, and no storm on a large cluster.
        list.sort_by_cached_key(|address| (self.with_health(|h| h.suspects(address)), rand::random::<u32>()));
        list.truncate(3.max(self.seeds.len()));
        let mut asked: FuturesUnordered<_> = list.iter().map(|address| self.ask_layout(address)).collect();
        let mut why = Error::NoSeed;
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(()) => return Ok(()),
                Err(error) => why = error,
            }
        }
        Err(Error::NoAnswer { tried: list.join(", "), within: self.options.connect, last: why.to_string() })
    }

    /// Asks the seeds again and again until one answers: of a cluster that is just starting, names and ports appear
    /// one after another.
    async fn first_answer(&self) -> Result<(), Error> {
        let within = self.options.deadline;
        let mut last = "no answer".to_owned();
        let asking = async {
            loop {
                match self.refresh().await {
                    Ok(()) => return,
                    Err(Error::NoAnswer { last: said, .. }) => last = said,
                    Err(other) => last = other.to_string(),
                }
                tokio::time::sleep(self.options.connect.min(std::time::Duration::from_millis(100))).await;
            }
        };
        match tokio::time::timeout(within, asking).await {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::NoAnswer { tried: self.seeds.join(", "), within, last }),
        }
    }

    fn forget_who_left(&self) {
        let Some(record) = self.knowledge.record() else { return };
        let known = |address: &str| {
            self.seeds.iter().any(|seed| seed == address)
                || record.view().members().any(|member| member.address == address)
        };
        self.pool.retain(known);
        self.with_health(|health| health.retain(known));
    }
}
