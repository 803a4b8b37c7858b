//! Files that are replaced whole: what is read is either what stood there before, or all of what was written.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use dynamo_ring::{Record, record::RecordError};

/// Why the record's file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Another driver has written meanwhile. Read again and decide anew.
    #[error("{path} was changed by another driver meanwhile: look again")]
    Changed {
        /// The file.
        path: String,
    },
    /// What stands in it is no record.
    #[error("{path}: {source}")]
    Record {
        /// The file.
        path: String,
        /// What is wrong.
        source: RecordError,
    },
    /// The file system says no.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What it says.
        source: io::Error,
    },
}

impl FileError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.display().to_string(), source }
    }
}

/// The file of the layout record: what the ConfigMap is on Kubernetes.
#[derive(Debug, Clone)]
pub struct RecordFile {
    path: PathBuf,
}

impl RecordFile {
    /// The record at `path`. A file beside it, `PATH.lock`, keeps two writers apart.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// What stands there; none if the file does not exist.
    pub fn read(&self) -> Result<Option<Record>, FileError> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Record::from_json(&text)
                .map(Some)
                .map_err(|source| FileError::Record { path: self.path.display().to_string(), source }),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(FileError::io(&self.path, e)),
        }
    }

    /// Writes `next` if `expected` is what stands there now. When this returns, it is on disk.
    pub fn replace(&self, expected: Option<&Record>, next: &Record) -> Result<(), FileError> {
        let lock_path = beside(&self.path, "lock");
        let lock = File::create(&lock_path).map_err(|e| FileError::io(&lock_path, e))?;
        // Held for the length of one small write, so waiting is right. Given back when `lock` is closed.
        lock.lock().map_err(|e| FileError::io(&lock_path, e))?;
        if self.read()?.as_ref() != expected {
            return Err(FileError::Changed { path: self.path.display().to_string() });
        }
        write_whole(&self.path, next.to_json().as_bytes()).map_err(|e| FileError::io(&self.path, e))
    }
}

/// Writes a file so that a crash leaves either the old or the new one.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = beside(path, "new");
    let mut file = File::create(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    // The rename itself is durable only with its folder.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::form::tests::{member, record};

    #[test]
    fn only_who_saw_what_stands_there_may_replace_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = RecordFile::new(folder.path().join("layout.json"));
        let first = record(3);
        assert_eq!(file.read().unwrap(), None);
        file.replace(None, &first).unwrap();
        assert!(matches!(file.replace(None, &first), Err(FileError::Changed { .. })), "it exists now");
        let members: Vec<_> = (0..4).map(member).collect();
        let next = first.propose(&members).unwrap();
        file.replace(Some(&first), &next).unwrap();
        assert!(
            matches!(file.replace(Some(&first), &next), Err(FileError::Changed { .. })),
            "a stale writer"
        );
        assert_eq!(file.read().unwrap(), Some(next));
    }

    #[test]
    fn of_many_writers_at_once_exactly_one_wins_each_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let file = RecordFile::new(folder.path().join("layout.json"));
        let first = record(3);
        file.replace(None, &first).unwrap();
        let write = |i: u8| {
            let members: Vec<_> = (0..3).chain([i]).map(member).collect();
            file.replace(Some(&first), &first.propose(&members).unwrap()).is_ok()
        };
        let winners = std::thread::scope(|scope| {
            let threads: Vec<_> = (3..11).map(|i| scope.spawn(move || write(i))).collect();
            threads.into_iter().map(|t| t.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(winners, 1);
    }

    #[test]
    fn what_is_no_record_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layout.json");
        fs::write(&path, "{}").unwrap();
        let error = RecordFile::new(&path).read().unwrap_err().to_string();
        assert!(error.contains("layout.json"), "{error}");
    }
}
