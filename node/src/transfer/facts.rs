//! How far a partition has been copied, as it lies on disk: written in the batch that stores what was copied, so that a
//! copy goes on after a crash exactly where it stood.

use bytes::{BufMut, Bytes, BytesMut};
use dynamo_ring::{LayoutId, Partition};

use crate::layout::facts::{put_id, take_id};
use crate::store::{DataKey, Local, MetaKey, StoreError};

const VERSION: u8 = 1;
const IN_PULL: u8 = 0;
const PULLED: u8 = 1;

/// How far one partition has been copied. Kept while the partition is held, forgotten with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// How far the pull has come.
    pub pull: Pull,
    /// Stored bytes of the partition at the source, as its snapshot said; zero until then.
    pub wanted_bytes: u64,
    /// Entry bytes received by the pull.
    pub pulled_bytes: u64,
    /// Entry bytes received by comparing afterwards.
    pub compared_bytes: u64,
    /// The target for which it has been proven complete.
    pub synced: Option<LayoutId>,
}

/// How far a pull has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Pull {
    /// Nothing yet.
    #[default]
    Begins,
    /// All up to this key, by the order of keys.
    After(DataKey),
    /// All that the source's snapshot held.
    Done,
}

impl Copied {
    /// Where it is kept.
    pub fn key(partition: Partition) -> Bytes {
        MetaKey::Named(&Self::name(partition)).encode()
    }

    /// What is on disk; the beginning if there is nothing.
    pub fn read(local: &Local, partition: Partition) -> Result<Self, StoreError> {
        let row = local.meta(MetaKey::Named(&Self::name(partition)))?;
        row.map_or(Ok(Self::default()), |row| Self::decode(&row))
    }

    fn name(partition: Partition) -> String {
        format!("transfer/{:05}", partition.0)
    }

    /// The row: version, phase, bytes wanted, pulled and compared, whether synced and for which layout, last key.
    pub fn encode(&self) -> Bytes {
        let mut row = BytesMut::with_capacity(64);
        row.put_u8(VERSION);
        row.put_u8(if self.pull == Pull::Done { PULLED } else { IN_PULL });
        row.put_u64(self.wanted_bytes);
        row.put_u64(self.pulled_bytes);
        row.put_u64(self.compared_bytes);
        row.put_u8(u8::from(self.synced.is_some()));
        if let Some(id) = self.synced {
            put_id(&mut row, id);
        }
        if let Pull::After(key) = &self.pull {
            row.put_slice(key.as_bytes());
        }
        row.freeze()
    }

    fn decode(row: &Bytes) -> Result<Self, StoreError> {
        let wrong = || StoreError::corrupt("progress of a copy", "wrong length");
        let (&[version, phase], rest) = row.split_first_chunk().ok_or_else(wrong)?;
        if version != VERSION || phase > PULLED {
            return Err(StoreError::corrupt("progress of a copy", "format is not known"));
        }
        let mut rest = rest;
        let mut number = || {
            let (number, left) = rest.split_first_chunk().ok_or_else(wrong)?;
            rest = left;
            Ok::<_, StoreError>(u64::from_be_bytes(*number))
        };
        let (wanted_bytes, pulled_bytes, compared_bytes) = (number()?, number()?, number()?);
        let (&[synced], rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let (synced, rest) = match synced {
            0 => (None, rest),
            _ => take_id(rest).map(|(id, rest)| (Some(id), rest)).ok_or_else(wrong)?,
        };
        let pull = match (phase, rest) {
            (PULLED, []) => Pull::Done,
            (PULLED, _) => return Err(wrong()),
            (_, []) => Pull::Begins,
            (_, key) => {
                let key = DataKey::from_store(row.slice_ref(key));
                Pull::After(key.map_err(|why| StoreError::corrupt("progress of a copy", why))?)
            }
        };
        Ok(Self { pull, wanted_bytes, pulled_bytes, compared_bytes, synced })
    }
}

#[cfg(test)]
mod tests {
    use dynamo_ring::LayoutHash;

    use super::*;

    #[test]
    fn every_phase_survives_and_strange_rows_are_corruption() {
        let id = LayoutId { epoch: 9, hash: LayoutHash([4; 16]) };
        for pull in [Pull::Begins, Pull::After(DataKey::of(b"k").unwrap()), Pull::Done] {
            for synced in [None, Some(id)] {
                let pull = pull.clone();
                let copied = Copied { pull, wanted_bytes: 1, pulled_bytes: 2, compared_bytes: 3, synced };
                assert_eq!(Copied::decode(&copied.encode()), Ok(copied));
            }
        }
        let good = Copied { pull: Pull::Done, ..Copied::default() }.encode();
        for bad in [&good[..5], &[2; 30], &[&good[..], b"x"].concat(), &[]] {
            assert!(matches!(Copied::decode(&Bytes::copy_from_slice(bad)), Err(StoreError::Corrupt(_))));
        }
    }
}
