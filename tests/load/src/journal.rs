//! The file of acknowledged writes: written before a write is counted, read by the verifier.
//!
//! One line of text for each: the key's index and the sequence of the write. A line that a kill has cut off was not
//! counted, and is left out.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Begins the first line; the number is the version of the format.
const TITLE: &str = "dynamo-load journal 1";

/// Why a journal cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A second run would use the sequences of the first again, and nobody could tell their writes apart.
    #[error("the journal {0} exists already: verify it and remove it, or name another")]
    Exists(String),
    /// The file system says no.
    #[error("the journal {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not written by this program, or damaged.
    #[error("the journal {path}, line {line}: `{text}` is not `INDEX SEQUENCE`")]
    Malformed {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
}

/// A journal that is being written. One for all writers.
#[derive(Debug)]
pub struct Journal {
    path: String,
    file: Mutex<File>,
}

impl Journal {
    /// A new file, for keys whose names begin with `prefix`.
    pub fn create(path: &Path, prefix: &str) -> Result<Self, JournalError> {
        let name = path.display().to_string();
        let mut file = OpenOptions::new().append(true).create_new(true).open(path).map_err(|source| {
            match source.kind() {
                ErrorKind::AlreadyExists => JournalError::Exists(name.clone()),
                _ => JournalError::Io { path: name.clone(), source },
            }
        })?;
        writeln!(file, "{TITLE} {prefix}")
            .map_err(|source| JournalError::Io { path: name.clone(), source })?;
        Ok(Self { path: name, file: Mutex::new(file) })
    }

    /// Notes an acknowledged write. When this returns, the line outlives the end of this process, however it ends.
    pub fn note(&self, index: u64, sequence: u64) -> Result<(), JournalError> {
        // One write call for the whole line, so that a kill cuts off the last one at most.
        let line = format!("{index} {sequence}\n");
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line.as_bytes()).map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }
}

/// What a journal says: for each key the acknowledged writes, in the order of their sequences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// What the keys' names begin with.
    pub prefix: String,
    /// Sequences by index.
    pub keys: BTreeMap<u64, Vec<u64>>,
}

impl Acknowledged {
    /// Reads a journal, also one that is still being written.
    pub fn read(path: &Path) -> Result<Self, JournalError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| JournalError::Io { path: name.clone(), source })?;
        Self::parse(&text).map_err(|(line, text)| JournalError::Malformed { path: name, line, text })
    }

    /// Acknowledged writes in all.
    pub fn writes(&self) -> u64 {
        self.keys.values().map(|sequences| sequences.len() as u64).sum()
    }

    fn parse(text: &str) -> Result<Self, (usize, String)> {
        // Whole lines only: what follows the last line feed was cut off.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut lines = whole.lines().enumerate();
        let bad = |at: usize, line: &str| (at + 1, line.chars().take(80).collect::<String>());
        let (_, title) = lines.next().ok_or_else(|| bad(0, text))?;
        let prefix = title.strip_prefix(TITLE).ok_or_else(|| bad(0, title))?;
        let prefix = prefix.strip_prefix(' ').unwrap_or(prefix).to_owned();
        let mut keys: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (at, line) in lines {
            let entry = line.split_once(' ').and_then(|(i, s)| Some((i.parse().ok()?, s.parse().ok()?)));
            let (index, sequence) = entry.ok_or_else(|| bad(at, line))?;
            keys.entry(index).or_default().push(sequence);
        }
        for sequences in keys.values_mut() {
            sequences.sort_unstable();
        }
        Ok(Self { prefix, keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_and_a_cut_off_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let journal = Journal::create(&path, "load-").unwrap();
        for (index, sequence) in [(7, 1), (8, 1), (7, 3), (7, 2)] {
            journal.note(index, sequence).unwrap();
        }
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"8 2").unwrap();
        let read = Acknowledged::read(&path).unwrap();
        assert_eq!(read.keys, BTreeMap::from([(7, vec![1, 2, 3]), (8, vec![1])]));
        assert_eq!((read.prefix.as_str(), read.writes()), ("load-", 4));
        assert!(matches!(Journal::create(&path, "load-"), Err(JournalError::Exists(_))));
    }

    #[test]
    fn what_is_damaged_is_named_by_its_line() {
        let text = format!("{TITLE} load-\n1 1\n1 x\n2 1\n");
        assert_eq!(Acknowledged::parse(&text), Err((3, "1 x".to_owned())));
        assert!(Acknowledged::parse("").is_err() && Acknowledged::parse("another file\n1 1\n").is_err());
    }
}
