//! Where each node that was ever named can be dialled.
//!
//! A layout says where its members are. A node that no layout names any more still has to be asked to retire, and one
//! that only an abandoned target named is in no layout at all: their addresses are kept here, beside the record.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use dynamo_ring::{Member, NodeId, Record};

use super::file::{FileError, write_whole};

/// The addresses, in a file of JSON.
#[derive(Debug, Clone)]
pub struct Book {
    path: PathBuf,
}

impl Book {
    /// The book at `path`; without a file there it is empty.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Notes where these members are. On disk when this returns: called before a record names them.
    pub fn note(&self, members: &[Member]) -> Result<(), FileError> {
        let mut known = self.read()?;
        let before = known.clone();
        known.extend(members.iter().map(|m| (m.node_id, m.address.clone())));
        if known == before {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(&known).unwrap_or_default();
        write_whole(&self.path, text.as_bytes()).map_err(|e| FileError::io(&self.path, e))
    }

    /// The address of `node`: the record's newest, or else what was noted.
    pub fn addresses(&self, record: &Record) -> Result<BTreeMap<NodeId, String>, FileError> {
        let mut known = self.read()?;
        known.extend(record.view().members().map(|m| (m.node_id, m.address.clone())));
        Ok(known)
    }

    fn read(&self) -> Result<BTreeMap<NodeId, String>, FileError> {
        match fs::read_to_string(&self.path) {
            Ok(text) => serde_json::from_str(&text).map_err(|e| FileError::io(&self.path, e.into())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(e) => Err(FileError::io(&self.path, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::form::tests::{member, record};

    #[test]
    fn who_is_in_no_layout_is_still_found() {
        let folder = tempfile::tempdir().unwrap();
        let book = Book::new(folder.path().join("addresses.json"));
        book.note(&[member(0), member(9)]).unwrap();
        let moved = Member { address: "elsewhere:1".into(), ..member(9) };
        book.note(&[moved]).unwrap();
        let record = record(3);
        let addresses = Book::new(folder.path().join("addresses.json")).addresses(&record).unwrap();
        assert_eq!(addresses[&member(9).node_id], "elsewhere:1");
        assert_eq!(addresses[&member(2).node_id], member(2).address, "the record's own members too");
        assert_eq!(addresses.len(), 4);
    }
}
