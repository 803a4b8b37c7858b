//! Reading, changing and writing a key, so that nothing that was read is lost and nothing that was not is replaced.

use std::time::Instant;

use bytes::Bytes;

use crate::client::Client;
use crate::error::Error;
use crate::options::{ReadOptions, WriteOptions};
use crate::resolve::Resolve;
use crate::value::{Sibling, Value, Written};

impl Client {
    /// Reads the key, lets `change` make one value of all its versions (none: the key is absent), and writes that in
    /// their place; `None` deletes. Answers `None` if there was nothing, and nothing is to be.
    ///
    /// Two updates at one time do not exclude each other: both succeed, their values stand beside each other, and the
    /// next update gets both. So `change` has to merge whatever it is given. It is called again if the key holds too
    /// many versions for another write and has to be read anew; the time of the read's options counts for all of it.
    pub async fn update(
        &self,
        key: &[u8],
        read: &ReadOptions,
        write: &WriteOptions,
        mut change: impl FnMut(Vec<Sibling>) -> Option<Bytes>,
    ) -> Result<Option<Written>, Error> {
        let until = Instant::now() + read.deadline.unwrap_or(self.0.options.deadline);
        loop {
            let found = self.get(key, read).await?;
            let absent = found.is_absent() && found.context.is_empty();
            let written = match change(found.siblings) {
                Some(value) => self.put(key, value, &found.context, write).await,
                None if absent => return Ok(None),
                None => self.delete(key, &found.context, write).await,
            };
            match written {
                // What was read replaces all but what came meanwhile; with luck that is little the next time.
                Err(Error::TooManyVersions { .. }) if Instant::now() < until => {}
                written => return written.map(Some),
            }
        }
    }

    /// Reads the key and has its versions resolved. The context is that of all versions, so a write with it replaces
    /// them; nothing is written here.
    pub async fn get_resolved(
        &self,
        key: &[u8],
        options: &ReadOptions,
        resolve: &impl Resolve,
    ) -> Result<Value, Error> {
        let mut found = self.get(key, options).await?;
        if !found.siblings.is_empty() {
            found.siblings = resolve.resolve(found.siblings);
        }
        Ok(found)
    }
}
