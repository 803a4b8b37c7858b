//! Writes a history down while it happens: one line an event, on its way to the disk before anything else is done.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dynamo_checker::lines::VERSION;
use dynamo_checker::{Line, OpId, Outcome, Request, Terms, Value};

#[derive(Debug)]
struct Pages {
    file: File,
    ops: OpId,
    values: Value,
    /// The first failure to write: what is not written down must not be judged.
    failed: Option<io::Error>,
}

/// A history that is being written. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    begun: Instant,
    path: Arc<PathBuf>,
    pages: Arc<Mutex<Pages>>,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// What the client was told.
    pub outcome: Outcome,
    /// Distinct members that the answer counts.
    pub answered: u32,
    /// It may have been carried out more than once.
    pub repeated: bool,
}

impl Recorder {
    /// A new file, in place of one of that name.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(path: &Path, n: u32, about: &str) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let pages = Pages { file: File::create(path)?, ops: 0, values: 0, failed: None };
        let recorder = Self {
            begun: Instant::now(),
            path: Arc::new(path.to_owned()),
            pages: Arc::new(Mutex::new(pages)),
        };
        recorder.line(|_, _| Line::Run { version: VERSION, n, about: about.to_owned() });
        Ok(recorder)
    }

    /// Where it is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A value that no other write of the history carries.
    pub fn fresh_value(&self) -> Value {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.values += 1;
        pages.values
    }

    /// A request begins.
    pub fn begin(&self, key: u32, request: Request, terms: Terms) -> OpId {
        self.line(|pages, at| {
            let op = pages.ops;
            pages.ops += 1;
            Line::Begun { op, at, key, request, terms }
        })
    }

    /// A request ends.
    pub fn end(&self, op: OpId, ending: Ending) {
        let Ending { outcome, answered, repeated } = ending;
        self.line(|_, at| Line::Ended { op, at, outcome, answered, repeated, covers: None });
    }

    /// A line for a person.
    pub fn note(&self, what: &str) {
        self.line(|_, at| Line::Note { at, what: what.to_owned() });
    }

    /// What stands of a key when all has healed.
    pub fn key(&self, key: u32, values: BTreeSet<Value>) {
        self.line(|_, _| Line::Key { key, values });
    }

    /// What does not agree when all should have healed.
    pub fn apart(&self, what: String) {
        self.line(|_, _| Line::Apart { what });
    }

    /// The last line.
    ///
    /// # Errors
    /// The first line that could not be written.
    pub fn close(&self) -> io::Result<()> {
        self.line(|_, _| Line::Whole);
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.failed.take().map_or(Ok(()), Err)
    }

    /// Writes a line in one call, so that the end of this process cuts off the last one at most. Returns the number of the
    /// request before the next one.
    fn line(&self, make: impl FnOnce(&mut Pages, u64) -> Line) -> OpId {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        // The clock is read under the lock: the order of the lines is that of their times.
        let at = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let line = make(&mut pages, at);
        let text = line.text().map_err(io::Error::other);
        let written = text.and_then(|text| pages.file.write_all(text.as_bytes()));
        if let Err(why) = written {
            pages.failed.get_or_insert(why);
        }
        pages.ops.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use dynamo_checker::History;

    use super::*;

    const TERMS: Terms = Terms { strict: true, quorum: 2, partial: false };

    fn read(path: &Path) -> History {
        History::read(BufReader::new(File::open(path).unwrap())).unwrap()
    }

    #[test]
    fn every_event_is_in_the_file_as_soon_as_it_has_happened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("more/history.jsonl");
        let recorder = Recorder::create(&path, 3, "seed 1").unwrap();
        let value = recorder.fresh_value();
        let put = recorder.begin(4, Request::Put { value, seen: None }, TERMS);
        let get = recorder.clone().begin(4, Request::Get, TERMS);
        assert_eq!((put, get), (0, 1));
        recorder.end(put, Ending { outcome: Outcome::Acknowledged, answered: 2, repeated: false });
        let died = read(&path);
        assert_eq!((died.n, died.ops.len(), &died.end), (3, 2, &None));
        assert_eq!(died.ops[0].outcome, Outcome::Acknowledged);
        assert_eq!(died.ops[1].outcome, Outcome::Unknown);
        assert!(died.ops[0].begun <= died.ops[1].begun && died.ops[1].begun <= died.ops[0].ended);
        recorder.note("killed");
        recorder.key(4, BTreeSet::from([value]));
        recorder.close().unwrap();
        assert_eq!(read(&path).end.unwrap().values[&4], BTreeSet::from([value]));
        assert_ne!(recorder.fresh_value(), value);
    }
}
