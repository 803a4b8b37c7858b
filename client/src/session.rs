//! Reads that see one's own writes, and never less than one has read before.
//!
//! A session remembers for each key what it has seen, and demands answers that cover it; so it holds where r + w is not
//! above n, and where writes were sloppy, at the price that a read waits, and fails in the end, while nobody who knows can
//! be reached. It remembers a bounded number of keys. For one that was forgotten a read promises what any read does.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::client::Client;
use crate::error::Error;
use crate::options::{ReadOptions, WriteOptions};
use crate::value::{Context, Seen, Value, Written};

/// Writes to one key that are remembered one by one. Beyond it the key is read, and its context stands for all.
const WRITES: usize = 16;

/// A session of one client.
#[derive(Debug)]
pub struct Session {
    client: Client,
    marks: Mutex<Marks>,
}

impl Client {
    /// A session that remembers up to `keys` keys, the last used ones.
    pub fn session(&self, keys: usize) -> Session {
        Session { client: self.clone(), marks: Mutex::new(Marks::new(keys)) }
    }
}

impl Session {
    fn with<T>(&self, look: impl FnOnce(&mut Marks) -> T) -> T {
        look(&mut self.marks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads a key: an answer that covers all that this session has read of it and written to it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if none does in time. With `allow_partial` what was found comes back, and says that it is
    /// [behind](Value::behind). After a delete that has been reaped, only a strict read can tell that nothing is missing.
    pub async fn get(&self, key: &[u8], options: &ReadOptions) -> Result<Value, Error> {
        let mut options = options.clone();
        options.at_least.extend(self.with(|marks| marks.seen(key)));
        let found = self.client.get(key, &options).await?;
        if !found.behind {
            self.with(|marks| marks.read(key, &found.context));
        }
        Ok(found)
    }

    /// Writes a value in place of what this session has seen of the key: the last read, or its own last write if no
    /// other stood beside it. Where others do ([`Written::siblings`] is above 1), read before the next write.
    pub async fn put(
        &self,
        key: &[u8],
        value: impl Into<Bytes>,
        options: &WriteOptions,
    ) -> Result<Written, Error> {
        self.make_room(key).await?;
        let context = self.with(|marks| marks.context(key));
        let written = self.client.put(key, value, &context, options).await?;
        self.with(|marks| marks.wrote(key, &written));
        Ok(written)
    }

    /// Deletes what this session has seen of the key.
    pub async fn delete(&self, key: &[u8], options: &WriteOptions) -> Result<Written, Error> {
        self.make_room(key).await?;
        let context = self.with(|marks| marks.context(key));
        let written = self.client.delete(key, &context, options).await?;
        self.with(|marks| marks.wrote(key, &written));
        Ok(written)
    }

    /// Forgets a key: the next read promises what any read does.
    pub fn forget(&self, key: &[u8]) {
        self.with(|marks| marks.forget(key));
    }

    /// Reads a key whose writes have become too many to be named one by one. The next write's context stays what it was:
    /// its caller has not seen what was read here.
    async fn make_room(&self, key: &[u8]) -> Result<(), Error> {
        let at_least = self.with(|marks| marks.seen(key));
        if at_least.len() <= WRITES {
            return Ok(());
        }
        let covering = ReadOptions { at_least, ..ReadOptions::default() };
        let found = self.client.get(key, &covering).await?;
        self.with(|marks| marks.folded(key, &found.context));
        Ok(())
    }
}

/// What is remembered of one key.
#[derive(Debug, Default)]
struct Mark {
    /// For the next write.
    context: Context,
    /// For the next read: covers `context` too.
    seen: Vec<Seen>,
    used: u64,
}

/// What is remembered, key by key.
#[derive(Debug)]
struct Marks {
    most: usize,
    keys: BTreeMap<Bytes, Mark>,
    /// The same by when they were used.
    uses: BTreeMap<u64, Bytes>,
    now: u64,
}

impl Marks {
    fn new(most: usize) -> Self {
        Self { most: most.max(1), keys: BTreeMap::new(), uses: BTreeMap::new(), now: 0 }
    }

    fn seen(&self, key: &[u8]) -> Vec<Seen> {
        self.keys.get(key).map(|mark| mark.seen.clone()).unwrap_or_default()
    }

    fn context(&self, key: &[u8]) -> Context {
        self.keys.get(key).map(|mark| mark.context.clone()).unwrap_or_default()
    }

    /// A read has found what this context covers, and with it all that was asked for.
    fn read(&mut self, key: &[u8], context: &Context) {
        let mark = self.mark(key);
        mark.context = context.clone();
        mark.seen = named(context);
    }

    /// A read that the caller has not seen covers all that was to be.
    fn folded(&mut self, key: &[u8], context: &Context) {
        self.mark(key).seen = named(context);
    }

    fn wrote(&mut self, key: &[u8], written: &Written) {
        let mark = self.mark(key);
        match &written.context {
            // Nothing stands beside it. What the write had seen is covered; another coordinator's write need not be.
            Some(context) => {
                let before = std::mem::replace(&mut mark.context, context.clone());
                mark.seen.retain(|seen| seen.0 != before.0);
                mark.seen.extend(named(context));
            }
            None => mark.seen.extend(written.seen.clone()),
        }
    }

    fn forget(&mut self, key: &[u8]) {
        if let Some(mark) = self.keys.remove(key) {
            self.uses.remove(&mark.used);
        }
    }

    /// The mark of a key that is used now; the one that was not used for the longest time makes room for it.
    fn mark(&mut self, key: &[u8]) -> &mut Mark {
        self.now += 1;
        if !self.keys.contains_key(key)
            && self.keys.len() >= self.most
            && let Some((_, oldest)) = self.uses.pop_first()
        {
            self.keys.remove(&oldest);
        }
        let name = Bytes::copy_from_slice(key);
        let mark = self.keys.entry(name.clone()).or_default();
        self.uses.remove(&mark.used);
        mark.used = self.now;
        self.uses.insert(self.now, name);
        mark
    }
}

fn named(context: &Context) -> Vec<Seen> {
    if context.is_empty() { Vec::new() } else { vec![context.clone().into()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(text: &'static str) -> Context {
        Context(Bytes::from_static(text.as_bytes()))
    }

    fn seen(texts: &[&'static str]) -> Vec<Seen> {
        texts.iter().map(|text| context(text).into()).collect()
    }

    fn beside(mark: &'static str) -> Written {
        Written { seen: Some(context(mark).into()), siblings: 2, ..Written::default() }
    }

    fn alone(text: &'static str) -> Written {
        Written { context: Some(context(text)), ..beside("mark") }
    }

    #[test]
    fn a_read_is_asked_to_cover_the_last_read_and_every_write_since() {
        let mut marks = Marks::new(10);
        marks.read(b"k", &context("r1"));
        marks.wrote(b"k", &beside("w1"));
        marks.wrote(b"k", &beside("w2"));
        assert_eq!(marks.seen(b"k"), seen(&["r1", "w1", "w2"]));
        assert_eq!(marks.context(b"k"), context("r1"), "what stood beside was not seen");
        marks.wrote(b"k", &alone("w3"));
        assert_eq!((marks.context(b"k"), marks.seen(b"k")), (context("w3"), seen(&["w1", "w2", "w3"])));
        marks.read(b"k", &context("r2"));
        assert_eq!((marks.seen(b"k"), marks.context(b"k")), (seen(&["r2"]), context("r2")));
        assert_eq!(marks.seen(b"other"), []);
    }

    #[test]
    fn a_read_that_its_caller_has_not_seen_changes_no_context() {
        let mut marks = Marks::new(10);
        marks.read(b"k", &context("r1"));
        marks.wrote(b"k", &beside("w1"));
        marks.folded(b"k", &context("r2"));
        assert_eq!((marks.seen(b"k"), marks.context(b"k")), (seen(&["r2"]), context("r1")));
    }

    #[test]
    fn the_key_that_was_not_used_for_the_longest_time_is_forgotten() {
        let mut marks = Marks::new(2);
        marks.read(b"a", &context("a"));
        marks.read(b"b", &context("b"));
        marks.wrote(b"a", &beside("w"));
        marks.read(b"c", &context("c"));
        assert_eq!((marks.keys.len(), marks.uses.len()), (2, 2));
        assert_eq!(marks.seen(b"b"), []);
        assert_eq!(marks.seen(b"a"), seen(&["a", "w"]));
        marks.forget(b"a");
        assert_eq!((marks.keys.len(), marks.uses.len(), marks.seen(b"a")), (1, 1, Vec::new()));
    }
}
