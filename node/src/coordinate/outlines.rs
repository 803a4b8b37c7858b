//! Pages of keys: what one member has of a partition, and what several members' pages say together. No I/O but reads of
//! the store.

use std::collections::BTreeMap;

use bytes::Bytes;
use dynamo_proto::v1::refusal::Reason;
use dynamo_proto::v1::{ListPartitionReply, ListPartitionRequest, Outline, Refusal};
use dynamo_ring::Partition;

use crate::store::{DataKey, Local, StoreError};
use crate::version::State;

/// Stored bytes read at a time.
const READ_BYTES: usize = 256 << 10;
/// Stored bytes read for one page, but for the entry that reaches it: a page ends there, full or not.
const PAGE_READS: usize = 8 << 20;

/// Where a page starts, what is on it, and where it ends at the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageOf {
    /// The partition.
    pub partition: Partition,
    /// Go on after this key.
    pub after: Option<DataKey>,
    /// Keys that begin with this.
    pub prefix: Bytes,
    /// Keys at most.
    pub max_keys: usize,
    /// After the key that reaches so many bytes.
    pub max_bytes: usize,
}

/// Keys in order, with the outlines of their states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The keys.
    pub entries: BTreeMap<DataKey, State>,
    /// All up to here has been looked at; `None`: up to the end of the partition.
    pub until: Option<DataKey>,
}

/// What lies here. Blocks for a disk's time.
pub fn read(local: &Local, wanted: &PageOf) -> Result<Page, StoreError> {
    let (mut page, mut bytes, mut looked_at) = (Page::default(), 0, 0);
    let mut after = wanted.after.clone();
    loop {
        let scan = local.scan(wanted.partition, after.as_ref(), READ_BYTES)?;
        for (key, encoded) in scan.entries {
            looked_at += key.as_bytes().len() + encoded.len();
            after = Some(key.clone());
            if key.user_key().starts_with(&wanted.prefix) {
                let state = State::decode(&encoded).map_err(|why| StoreError::corrupt("state", why))?;
                bytes += key.user_key().len();
                page.entries.insert(key, state.outline());
            }
            if page.entries.len() >= wanted.max_keys || bytes >= wanted.max_bytes || looked_at >= PAGE_READS {
                page.until = after;
                return Ok(page);
            }
        }
        if !scan.more {
            return Ok(page);
        }
    }
}

/// What the pages of several members say together: keys and versions that any of them knows, as far as all of them have
/// looked, and no further than `wanted` says.
pub fn merge(pages: Vec<Page>, wanted: &PageOf) -> Page {
    let until = pages.iter().filter_map(|page| page.until.clone()).min();
    let mut merged = Page { until, ..Page::default() };
    for (key, state) in pages.into_iter().flat_map(|page| page.entries) {
        // Beyond it a member may know of keys that are not among these.
        if merged.until.as_ref().is_some_and(|until| key > *until) {
            continue;
        }
        let known = merged.entries.entry(key).or_default();
        *known = known.merge(&state);
    }
    let mut bytes = 0;
    let full = merged.entries.keys().enumerate().find_map(|(at, key)| {
        bytes += key.user_key().len();
        (at + 1 >= wanted.max_keys || bytes >= wanted.max_bytes).then(|| key.clone())
    });
    if let Some(last) = full {
        merged.entries.retain(|key, _| *key <= last);
        // The end is only reached where nothing was cut off, so nothing is claimed of what follows.
        merged.until = Some(last);
    }
    merged
}

impl PageOf {
    /// As it is asked of another member.
    pub fn request(&self) -> ListPartitionRequest {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        ListPartitionRequest {
            partition: self.partition.0.into(),
            after: stored(self.after.as_ref()),
            prefix: self.prefix.clone(),
            max_keys: number(self.max_keys),
            max_bytes: number(self.max_bytes),
        }
    }

    /// What another member asks.
    pub fn from_request(request: ListPartitionRequest) -> Result<Self, Refusal> {
        let number = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let partition = u16::try_from(request.partition).map_err(|_| invalid("no such partition"))?;
        Ok(Self {
            partition: Partition(partition),
            after: key(request.after).map_err(|_| invalid("`after` is no stored key"))?,
            prefix: request.prefix,
            max_keys: number(request.max_keys),
            max_bytes: number(request.max_bytes),
        })
    }
}

impl Page {
    /// As it is answered to another member.
    pub fn reply(self) -> ListPartitionReply {
        let outline = |(key, state): (DataKey, State)| Outline {
            data_key: key.as_bytes().clone(),
            state: state.encode(),
        };
        let until = stored(self.until.as_ref());
        ListPartitionReply { outlines: self.entries.into_iter().map(outline).collect(), until }
    }

    /// What another member answered; nothing if it makes no sense.
    pub fn from_reply(reply: ListPartitionReply) -> Option<Self> {
        let entry = |Outline { data_key, state }| {
            Some((DataKey::from_peer(data_key).ok()?, State::decode(&state).ok()?))
        };
        let entries = reply.outlines.into_iter().map(entry).collect::<Option<_>>()?;
        Some(Self { entries, until: key(reply.until).ok()? })
    }
}

fn stored(key: Option<&DataKey>) -> Bytes {
    key.map(|key| key.as_bytes().clone()).unwrap_or_default()
}

fn key(bytes: Bytes) -> Result<Option<DataKey>, crate::store::KeyError> {
    (!bytes.is_empty()).then(|| DataKey::from_peer(bytes)).transpose()
}

fn invalid(why: &str) -> Refusal {
    Refusal { reason: Reason::Invalid.into(), message: why.to_owned(), record: Bytes::new() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::version::testing::states;

    type Held = BTreeMap<DataKey, State>;

    fn stored_key(i: u16) -> DataKey {
        DataKey::of(&i.to_be_bytes()).unwrap()
    }

    fn wanted(max_keys: usize) -> PageOf {
        PageOf { partition: Partition(0), after: None, prefix: Bytes::new(), max_keys, max_bytes: usize::MAX }
    }

    /// A page as [`read`] makes it, from a member that holds this.
    fn page(held: &Held, after: Option<&DataKey>, max_keys: usize) -> Page {
        let rest = || held.iter().filter(|(key, _)| after.is_none_or(|after| *key > after));
        let entries: Held =
            rest().take(max_keys).map(|(key, state)| (key.clone(), state.outline())).collect();
        let until = (entries.len() >= max_keys).then(|| entries.keys().next_back().cloned()).flatten();
        Page { entries, until }
    }

    fn holdings() -> impl Strategy<Value = Vec<Held>> {
        let held = prop::collection::btree_map((0u16..40).prop_map(stored_key), states(), 0..20);
        prop::collection::vec(held, 1..4)
    }

    proptest! {
        #[test]
        fn pages_of_several_members_are_the_pages_of_their_merge(
            members in holdings(),
            sizes in prop::collection::vec(1usize..7, 3),
            max_keys in 1usize..7,
        ) {
            let mut all = Held::new();
            for (key, state) in members.iter().flatten() {
                let known = all.entry(key.clone()).or_default();
                *known = known.merge(state);
            }
            let expected: Held = all.into_iter().map(|(key, state)| (key, state.outline())).collect();

            let (mut listed, mut after) = (Held::new(), None);
            for round in 0.. {
                prop_assert!(round < 200, "no end is reached");
                let pages = members.iter().zip(&sizes).map(|(held, size)| page(held, after.as_ref(), *size));
                let merged = merge(pages.collect(), &wanted(max_keys));
                prop_assert!(merged.entries.len() <= max_keys);
                for (key, state) in merged.entries {
                    prop_assert!(listed.insert(key, state).is_none(), "a key is listed twice");
                }
                let Some(until) = merged.until else { break };
                prop_assert!(after.as_ref().is_none_or(|after| *after < until), "each page goes on");
                after = Some(until);
            }
            prop_assert_eq!(listed, expected);
        }

        #[test]
        fn pages_survive_the_way(held in prop::collection::btree_map((0u16..40).prop_map(stored_key), states(), 0..5)) {
            let page = page(&held, None, 3);
            prop_assert_eq!(Page::from_reply(page.clone().reply()), Some(page));
        }
    }

    #[test]
    fn what_a_peer_asks_is_looked_at() {
        let asked = PageOf { after: Some(stored_key(3)), prefix: Bytes::from_static(b"p"), ..wanted(7) };
        assert_eq!(PageOf::from_request(asked.request()).unwrap().after, asked.after);
        let nonsense = ListPartitionRequest { after: Bytes::from_static(b"x"), ..asked.request() };
        assert!(PageOf::from_request(nonsense).is_err());
        let nowhere = ListPartitionRequest { partition: 70_000, ..asked.request() };
        assert!(PageOf::from_request(nowhere).is_err());
    }
}
