//! Keys by the page, as a stream.

use bytes::Bytes;
use dynamo_proto::v1 as proto;
use dynamo_proto::v1::kv_client::KvClient;
use dynamo_ring::Partition;
use futures::{Stream, StreamExt, TryStreamExt, stream};

use crate::attempt;
use crate::client::Client;
use crate::error::Error;
use crate::router::{Intent, Place};

/// Which keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Those that begin with this; all if empty.
    pub prefix: Bytes,
    /// Only those of one partition.
    pub partition: Option<u16>,
    /// Keys of which only deletes stand as well.
    pub deleted: bool,
    /// Members to be asked of each partition; the cluster's own r if absent.
    pub r: Option<u32>,
    /// Keys asked for at a time, up to 10,000; 1,000 if 0.
    pub page: u32,
}

/// One key, and what stands of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: Bytes,
    /// Versions with a value.
    pub siblings: u32,
    /// Deletes among the versions.
    pub tombstones: u32,
}

impl Client {
    /// The keys, partition after partition, in no order that means anything. A key is listed if its last strict write was
    /// acknowledged before the listing began and it was not deleted since; one that is written meanwhile may be or not.
    /// Ends with the first error.
    pub fn list(&self, options: ListOptions) -> impl Stream<Item = Result<Listed, Error>> + Send + 'static {
        let pages = stream::try_unfold(
            (self.clone(), options, Some(Bytes::new()), 0u32),
            |(client, options, token, partition)| async move {
                let Some(page_token) = token else { return Ok::<_, Error>(None) };
                let page = client.page(&options, page_token, partition).await?;
                let next = (!page.next_page_token.is_empty()).then_some(page.next_page_token);
                Ok(Some((page.keys, (client, options, next, page.partition))))
            },
        );
        pages
            .map_ok(|keys| {
                let listed =
                    |proto::ListedKey { key, siblings, tombstones }| Listed { key, siblings, tombstones };
                stream::iter(keys.into_iter().map(listed).map(Ok))
            })
            .try_flatten()
            .boxed()
    }

    async fn page(
        &self,
        options: &ListOptions,
        page_token: Bytes,
        partition: u32,
    ) -> Result<proto::ListKeysResponse, Error> {
        let message = proto::ListKeysRequest {
            prefix: options.prefix.clone(),
            partition: options.partition.map(u32::from),
            page_token,
            max_keys: options.page,
            max_bytes: 0,
            r: options.r,
            deleted: options.deleted,
        };
        let at = options.partition.unwrap_or_else(|| u16::try_from(partition).unwrap_or(0));
        let place = Place::Partition(Partition(at));
        let call = |mut client: KvClient<_>, request| async move { client.list_keys(request).await };
        let within = self.0.options.deadline;
        let page = attempt::run(&self.0, "ListKeys", Intent::List, place, message, within, call).await?;
        self.0.saw(page.epoch);
        Ok(page)
    }
}
