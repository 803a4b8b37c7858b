//! What a client's request has to be like, looked at before anything is begun.

use bytes::Bytes;
use dynamo_proto::v1::{DeleteRequest, GetRequest, PutRequest};

use super::errors::Violations;
use crate::store::keys::MAX_USER_KEY;
use crate::version::{Context, VersionVector, WriteId};

/// Contexts and witnesses that a read may have to cover.
const MOST_COVERED: usize = 32;

/// The limits at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    /// Bytes a value may have.
    pub max_value: usize,
}

impl Default for Door {
    fn default() -> Self {
        Self { max_value: 1 << 20 }
    }
}

/// A write that has come through the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The user's key.
    pub key: Bytes,
    /// What the client had seen of it.
    pub context: VersionVector,
    /// `None` deletes.
    pub value: Option<Bytes>,
    /// How long the value is shown, ms; it lasts if `None`.
    pub ttl_ms: Option<u64>,
    /// The client's name for the write.
    pub write_id: Option<WriteId>,
}

impl Door {
    /// Looks at a put.
    pub fn put(self, request: PutRequest) -> Result<Admitted, Violations> {
        let PutRequest { key, value, context, write_id, ttl_ms, .. } = request;
        self.write(key, Some(value), ttl_ms, &context, &write_id)
    }

    /// Looks at a delete.
    pub fn delete(self, request: DeleteRequest) -> Result<Admitted, Violations> {
        let DeleteRequest { key, context, write_id, .. } = request;
        self.write(key, None, None, &context, &write_id)
    }

    /// Looks at the key of a read, and at what its answer has to cover.
    pub fn get(request: &GetRequest) -> Result<VersionVector, Violations> {
        let mut wrong = Violations::default();
        check_key(&request.key, &mut wrong);
        if request.at_least.len() > MOST_COVERED {
            let given = request.at_least.len();
            wrong.add(
                "at_least",
                format!(
                    "{given} of them; up to {MOST_COVERED} are possible: read the key and pass its context"
                ),
            );
        }
        let mut at_least = VersionVector::new();
        for seen in request.at_least.iter().take(MOST_COVERED) {
            match Context::decode_seen(&request.key, seen) {
                Ok(seen) => at_least.merge(&seen),
                Err(why) => wrong.add("at_least", why.to_string()),
            }
        }
        if wrong.is_empty() { Ok(at_least) } else { Err(wrong) }
    }

    fn write(
        self,
        key: Bytes,
        value: Option<Bytes>,
        ttl_ms: Option<u64>,
        context: &[u8],
        write_id: &[u8],
    ) -> Result<Admitted, Violations> {
        let mut wrong = Violations::default();
        check_key(&key, &mut wrong);
        let length = value.as_ref().map_or(0, Bytes::len);
        if length > self.max_value {
            let limit = self.max_value;
            wrong.add("value", format!("{length} bytes; this node takes up to {limit} (--max-value-bytes)"));
        }
        if ttl_ms == Some(0) {
            wrong.add("ttl_ms", "0 ms; give 1 ms or more, none for a value that lasts, or delete the key");
        }
        let context = Context::decode(&key, context).unwrap_or_else(|why| {
            wrong.add("context", why.to_string());
            VersionVector::new()
        });
        let id: Option<[u8; 16]> = write_id.try_into().ok();
        if id.is_none() && !write_id.is_empty() {
            wrong.add("write_id", format!("{} bytes; send 16 random bytes, or none", write_id.len()));
        }
        let write_id = id.map(WriteId);
        if wrong.is_empty() { Ok(Admitted { key, context, value, ttl_ms, write_id }) } else { Err(wrong) }
    }
}

fn check_key(key: &[u8], wrong: &mut Violations) {
    match key.len() {
        0 => wrong.add("key", format!("empty; a key has 1 to {MAX_USER_KEY} bytes")),
        length if length > MAX_USER_KEY => {
            wrong.add("key", format!("{length} bytes; a key has 1 to {MAX_USER_KEY} bytes"));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::version::testing::vector;

    fn put(key: &[u8]) -> PutRequest {
        PutRequest { key: Bytes::copy_from_slice(key), ..PutRequest::default() }
    }

    #[test]
    fn each_field_is_refused_with_value_limit_and_remedy() {
        let door = Door { max_value: 10 };
        let another = Context::encode(b"other", &vector(&[(1, 1, 1)]));
        let bytes = |n: usize| Bytes::from(vec![7; n]);
        let cases = [
            (put(b""), "`key`: empty; a key has 1 to 4096 bytes"),
            (put(&[0; 4097]), "`key`: 4097 bytes; a key has 1 to 4096 bytes"),
            (
                PutRequest { value: bytes(11), ..put(b"k") },
                "`value`: 11 bytes; this node takes up to 10 (--max-value-bytes)",
            ),
            (
                PutRequest { context: another, ..put(b"k") },
                "`context`: the context belongs to another key; pass the one that a read of this key returned",
            ),
            (
                PutRequest { context: bytes(3), ..put(b"k") },
                "`context`: context format 7 is not known to this node; read the key again",
            ),
            (
                PutRequest { ttl_ms: Some(0), ..put(b"k") },
                "`ttl_ms`: 0 ms; give 1 ms or more, none for a value that lasts, or delete the key",
            ),
            (
                PutRequest { write_id: bytes(15), ..put(b"k") },
                "`write_id`: 15 bytes; send 16 random bytes, or none",
            ),
        ];
        for (request, message) in cases {
            assert_eq!(door.put(request).unwrap_err().status().message(), message);
        }
    }

    #[test]
    fn what_is_at_the_limit_comes_through() {
        let door = Door { max_value: 10 };
        let seen = vector(&[(1, 1, 1)]);
        let key = Bytes::from(vec![1; 4096]);
        let request = PutRequest {
            value: Bytes::from_static(&[0; 10]),
            context: Context::encode(&key, &seen),
            write_id: Bytes::from_static(&[9; 16]),
            ..put(&key)
        };
        let admitted = door.put(request).unwrap();
        assert_eq!((admitted.context, admitted.write_id), (seen, Some(WriteId([9; 16]))));
        let delete = DeleteRequest { key: key.clone(), ..DeleteRequest::default() };
        assert_eq!(door.delete(delete).unwrap().value, None);
        let get = |key: Bytes, at_least| GetRequest { key, at_least, ..GetRequest::default() };
        assert_eq!(Door::get(&get(key.clone(), Vec::new())), Ok(VersionVector::new()));
        assert!(Door::get(&get(Bytes::new(), Vec::new())).is_err());
        let (one, other) = (vector(&[(1, 1, 1)]), vector(&[(2, 1, 4)]));
        let both = [&one, &other].map(|seen| Context::encode(&key, seen)).to_vec();
        let mut covered = one.clone();
        covered.merge(&other);
        assert_eq!(Door::get(&get(key.clone(), both)), Ok(covered));
        let strange = Context::encode(b"other", &one);
        assert!(Door::get(&get(key.clone(), vec![strange])).is_err(), "bound to its key");
        let many = vec![Context::encode(&key, &one); 33];
        let said = Door::get(&get(key, many)).unwrap_err().status();
        assert!(said.message().starts_with("`at_least`: 33 of them; up to 32"), "{}", said.message());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(key: Vec<u8>, value: Vec<u8>, context: Vec<u8>, write_id: Vec<u8>) {
            let (key, value) = (Bytes::from(key), Bytes::from(value));
            let (context, write_id) = (Bytes::from(context), Bytes::from(write_id));
            let _ = Door::default().put(PutRequest { key, value, context, write_id, ..PutRequest::default() });
        }
    }
}
