//! A page of keys, from the request through the partitions that it touches to its token for the next.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use dynamo_proto::v1::{ListKeysRequest, ListKeysResponse, ListedKey};
use dynamo_ring::{Partition, Partitions};
use tokio::time::Instant;

use super::errors::Violations;
use super::metrics::Op;
use super::requests::{Failed, Requests, count};
use crate::coordinate::outlines::PageOf;
use crate::coordinate::{CoordinateError, ListAnswer, ListOrder};
use crate::store::DataKey;
use crate::store::keys::MAX_USER_KEY;

const USUAL_KEYS: u32 = 1000;
const MOST_KEYS: u32 = 10_000;
const USUAL_BYTES: u32 = 1 << 20;
const MOST_BYTES: u32 = 4 << 20;

/// Format of a page token: version, partition u16 BE, the stored key after which it goes on (none: at the start).
const TOKEN: u8 = 1;

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    partition: Partition,
    after: Option<DataKey>,
}

/// A request that has come through the door.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    from: Place,
    /// The last partition that it goes on to.
    last: Partition,
    max_keys: usize,
    max_bytes: usize,
}

impl Place {
    fn token(&self) -> Bytes {
        let mut token = BytesMut::new();
        token.put_u8(TOKEN);
        token.put_u16(self.partition.0);
        if let Some(after) = &self.after {
            token.put_slice(after.as_bytes());
        }
        token.freeze()
    }

    /// From what a client passed back; nothing if it is none of this cluster's.
    fn from_token(token: &Bytes, q: Partitions) -> Option<Self> {
        let (&[TOKEN, high, low], rest) = token.split_first_chunk::<3>()? else { return None };
        let partition = Partition(u16::from_be_bytes([high, low]));
        let after = (!rest.is_empty()).then(|| DataKey::from_peer(token.slice(3..))).transpose().ok()?;
        let belongs = after.as_ref().is_none_or(|after| after.position().partition(q) == partition);
        (q.contains(partition) && belongs).then_some(Self { partition, after })
    }
}

impl Wanted {
    fn of(request: &ListKeysRequest, q: Partitions) -> Result<Self, Violations> {
        let mut wrong = Violations::default();
        let last = Partition(q.get() - 1);
        let only = request.partition.map(|p| u16::try_from(p).map_or(Partition(u16::MAX), Partition));
        if let (Some(given), true) = (request.partition, only.is_some_and(|p| !q.contains(p))) {
            wrong.add("partition", format!("{given}; this cluster has 0 to {}", last.0));
        }
        if request.prefix.len() > MAX_USER_KEY {
            let length = request.prefix.len();
            wrong.add("prefix", format!("{length} bytes; a key has 1 to {MAX_USER_KEY} bytes"));
        }
        let mut from = Place { partition: only.unwrap_or(Partition(0)), after: None };
        if !request.page_token.is_empty() {
            match Place::from_token(&request.page_token, q) {
                Some(place) if only.is_none_or(|only| only == place.partition) => from = place,
                _ => wrong.add(
                    "page_token",
                    "not one that this listing returned; pass it back exactly, with the same partition",
                ),
            }
        }
        let mut limit = |field: &str, given: u32, usual: u32, most: u32| {
            if given > most {
                wrong.add(field, format!("{given}; a page has up to {most}"));
            }
            usize::try_from(if given == 0 { usual } else { given }).unwrap_or(usize::MAX)
        };
        let max_keys = limit("max_keys", request.max_keys, USUAL_KEYS, MOST_KEYS);
        let max_bytes = limit("max_bytes", request.max_bytes, USUAL_BYTES, MOST_BYTES);
        let last = only.unwrap_or(last);
        if wrong.is_empty() { Ok(Self { from, last, max_keys, max_bytes }) } else { Err(wrong) }
    }
}

impl Requests {
    /// A page of keys. It goes on over as many partitions as fit into the page and into half of the time.
    pub async fn list(&self, request: ListKeysRequest, within: Duration) -> Result<ListKeysResponse, Failed> {
        let begun = Instant::now();
        let answer = self.pages(request, begun, within).await;
        self.counted(Op::List, false, begun, answer)
    }

    async fn pages(
        &self,
        request: ListKeysRequest,
        begun: Instant,
        within: Duration,
    ) -> Result<ListKeysResponse, Failed> {
        let q = self.coordinator.partitions().ok_or(CoordinateError::NotServing)?;
        let wanted = Wanted::of(&request, q).map_err(|wrong| Failed::Status(wrong.status()))?;
        let _pass = self.enter(wanted.max_bytes)?;
        let (mut response, mut bytes) = (ListKeysResponse::default(), 0);
        let mut at = Some(wanted.from);
        while let Some(place) = at.clone() {
            let keys = wanted.max_keys.saturating_sub(response.keys.len());
            let room = wanted.max_bytes.saturating_sub(bytes);
            let looked_at_one = response.epoch > 0;
            if keys == 0 || room == 0 || (looked_at_one && begun.elapsed() > within / 2) {
                break;
            }
            let page = PageOf {
                partition: place.partition,
                after: place.after,
                prefix: request.prefix.clone(),
                max_keys: keys,
                max_bytes: room,
            };
            let order = ListOrder { page, quorum: request.r, until: begun + within };
            let ListAnswer { page, epoch, now_ms } = match self.coordinator.list(&order).await {
                Ok(found) => found,
                // The next page meets it again, if it is still there.
                Err(_) if looked_at_one => break,
                Err(why) => return Err(why.into()),
            };
            (response.epoch, response.partition) = (epoch, place.partition.0.into());
            at = match page.until {
                Some(after) => Some(Place { partition: place.partition, after: Some(after) }),
                None if place.partition < wanted.last => {
                    Some(Place { partition: Partition(place.partition.0 + 1), after: None })
                }
                None => None,
            };
            for (key, state) in page.entries {
                let view = state.view_at(now_ms);
                if !view.values.is_empty() || (request.deleted && view.tombstones > 0) {
                    bytes += key.user_key().len();
                    let (siblings, tombstones) = (count(view.values.len()), count(view.tombstones));
                    response.keys.push(ListedKey { key: key.to_user_key(), siblings, tombstones });
                }
            }
        }
        response.next_page_token = at.map(|place| place.token()).unwrap_or_default();
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn q() -> Partitions {
        Partitions::new(16).unwrap()
    }

    #[test]
    fn a_token_goes_on_where_the_page_ended() {
        let after = DataKey::of(b"anna").unwrap();
        let partition = after.position().partition(q());
        let place = Place { partition, after: Some(after) };
        let request = ListKeysRequest { page_token: place.token(), ..ListKeysRequest::default() };
        let wanted = Wanted::of(&request, q()).unwrap();
        assert_eq!((wanted.from, wanted.last), (place, Partition(15)));
        assert_eq!((wanted.max_keys, wanted.max_bytes), (1000, 1 << 20));
    }

    #[test]
    fn each_field_is_refused_with_value_limit_and_remedy() {
        let other = Place { partition: Partition(3), after: None }.token();
        let cases = [
            (
                ListKeysRequest { partition: Some(16), ..ListKeysRequest::default() },
                "`partition`: 16; this cluster has 0 to 15",
            ),
            (
                ListKeysRequest { prefix: vec![0; 4097].into(), ..ListKeysRequest::default() },
                "`prefix`: 4097 bytes; a key has 1 to 4096 bytes",
            ),
            (
                ListKeysRequest { partition: Some(2), page_token: other, ..ListKeysRequest::default() },
                "`page_token`: not one that this listing returned; pass it back exactly, with the same partition",
            ),
            (
                ListKeysRequest { max_keys: 10_001, ..ListKeysRequest::default() },
                "`max_keys`: 10001; a page has up to 10000",
            ),
        ];
        for (request, message) in cases {
            assert_eq!(Wanted::of(&request, q()).unwrap_err().status().message(), message);
        }
    }

    proptest! {
        #[test]
        fn no_token_makes_it_panic(token: Vec<u8>) {
            let page_token = Bytes::from(token);
            let _ = Wanted::of(&ListKeysRequest { page_token, ..ListKeysRequest::default() }, q());
        }
    }
}
