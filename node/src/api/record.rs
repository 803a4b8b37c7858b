//! The layout record as text, made once for each record: clients and stale members ask for it in bursts.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use dynamo_ring::Record;

/// A record and its text.
type Text = (Arc<Record>, Bytes);

/// The last record that was asked for, as text. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct RecordText {
    last: Arc<Mutex<Option<Text>>>,
}

impl RecordText {
    /// The record as JSON.
    pub fn of(&self, record: &Arc<Record>) -> Bytes {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((known, text)) if Arc::ptr_eq(known, record) => text.clone(),
            _ => {
                let text = Bytes::from(record.to_json());
                *last = Some((Arc::clone(record), text.clone()));
                text
            }
        }
    }
}
