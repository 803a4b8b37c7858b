//! The record as JSON that a person can read in a ConfigMap: indented, but one line for each row of a table.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use super::document::{Document, VERSION};
use super::{Record, RecordError};

impl Record {
    /// The document, ending in a newline. The same record always gives the same text.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        let mut serializer = Serializer::with_formatter(&mut out, RowFormatter::default());
        // Writing to memory does not fail, and no map in a record has keys that are not text.
        let written = self.serialize(&mut serializer);
        debug_assert!(written.is_ok());
        out.push(b'\n');
        String::from_utf8(out).unwrap_or_default()
    }

    /// Reads a document and checks every rule.
    pub fn from_json(text: &str) -> Result<Self, RecordError> {
        /// Alone, so that a later version is named as such and not as an unknown field.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let unreadable = |e: serde_json::Error| RecordError::Unreadable(e.to_string());
        match serde_json::from_str(text).map_err(unreadable)? {
            Version { version: VERSION } => {
                serde_json::from_str::<Document>(text).map_err(unreadable)?.try_into()
            }
            Version { version } => Err(RecordError::Version(version)),
        }
    }
}

/// Pretty, but for arrays within arrays: the holders of one partition belong on one line.
#[derive(Default)]
struct RowFormatter {
    pretty: PrettyFormatter<'static>,
    arrays: usize,
}

impl RowFormatter {
    const fn in_row(&self) -> bool {
        self.arrays > 1
    }
}

impl Formatter for RowFormatter {
    fn begin_array<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.arrays += 1;
        if self.in_row() { w.write_all(b"[") } else { self.pretty.begin_array(w) }
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.arrays -= 1;
        if self.arrays > 0 { w.write_all(b"]") } else { self.pretty.end_array(w) }
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        match (self.in_row(), first) {
            (false, _) => self.pretty.begin_array_value(w, first),
            (true, true) => Ok(()),
            (true, false) => w.write_all(b", "),
        }
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        if self.in_row() { Ok(()) } else { self.pretty.end_array_value(w) }
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.pretty.begin_object(w)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.pretty.end_object(w)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.pretty.begin_object_key(w, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.pretty.begin_object_value(w)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.pretty.end_object_value(w)
    }
}
