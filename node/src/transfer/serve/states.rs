//! States by their keys' positions, as those who found a difference ask for them.

use dynamo_proto::v1::{FetchManyReply, FetchManyRequest, Refusal, refusal::Reason};
use dynamo_ring::{Partition, Position};

use super::super::exchange::{MESSAGE_BYTES, POSITIONS};
use super::{entry, invalid, number, refusal, storage};
use crate::store::Local;

/// The states of the keys at these positions, in the order asked, until the message is full.
pub fn fetch_many(local: &Local, request: &FetchManyRequest) -> Result<FetchManyReply, Refusal> {
    held(local, request.partition)?;
    if request.positions.len() > POSITIONS {
        return Err(invalid("too many positions in one request"));
    }
    let (mut reply, mut bytes) = (FetchManyReply::default(), 0);
    for position in &request.positions {
        let position = position[..].try_into().map_err(|_| invalid("not a position"))?;
        let Some(found) = local.at(Position(position)).map_err(|why| storage(&why))? else { continue };
        let more = found.0.as_bytes().len() + found.1.len();
        if !reply.entries.is_empty() && bytes + more > MESSAGE_BYTES {
            reply.more = true;
            break;
        }
        bytes += more;
        reply.entries.push(entry(found));
    }
    Ok(reply)
}

fn held(local: &Local, partition: u32) -> Result<Partition, Refusal> {
    let partition = number(partition)?;
    match local.summary(partition) {
        Ok(summary) if summary.held => Ok(partition),
        Ok(_) => Err(refusal(Reason::NotHolder, format!("partition {partition} is not held here"))),
        Err(why) => Err(storage(&why)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::fixture::{keys, local};
    use super::*;

    #[test]
    fn a_full_message_says_that_there_is_more() {
        let keys = keys(3);
        let large: Vec<_> = keys.iter().map(|(_, key)| (key.as_str(), MESSAGE_BYTES / 2)).collect();
        let local = local(&large);
        let position = |position: &Position| Bytes::copy_from_slice(position.as_bytes());
        let mut positions: Vec<_> = keys.iter().map(|(at, _)| position(at)).collect();
        positions.insert(0, position(&Position([0; 16])));
        let reply =
            fetch_many(&local, &FetchManyRequest { partition: 0, positions: positions.clone() }).unwrap();
        assert_eq!((reply.entries.len(), reply.more), (1, true), "the one that nobody has is left out");
        let reply = fetch_many(&local, &FetchManyRequest { partition: 0, positions: positions.split_off(3) });
        let reply = reply.unwrap();
        assert_eq!((reply.entries.len(), reply.more), (1, false));
    }

    #[test]
    fn what_is_not_held_or_makes_no_sense_is_refused() {
        let local = local(&[]);
        let reason = |refusal: Refusal| refusal.reason();
        let fetch = |partition, positions| fetch_many(&local, &FetchManyRequest { partition, positions });
        assert_eq!(fetch(4, vec![]).map_err(reason), Err(Reason::NotHolder));
        assert_eq!(fetch(70_000, vec![]).map_err(reason), Err(Reason::Invalid));
        assert_eq!(fetch(0, vec![Bytes::from_static(b"short")]).map_err(reason), Err(Reason::Invalid));
        assert_eq!(fetch(0, vec![Bytes::new(); POSITIONS + 1]).map_err(reason), Err(Reason::Invalid));
    }
}
