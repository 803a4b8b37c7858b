use std::collections::BTreeSet;

use bytes::Bytes;
use dynamo_proto::v1::request::Op;
use dynamo_proto::v1::{Request, StoreRequest};

use super::super::parts::{PART, WHOLE};
use super::*;

/// A request to store so many bytes, under this id.
#[derive(Debug, Clone, PartialEq)]
struct Storing(u64, usize);

impl Post for Storing {
    /// Who has given up.
    type Readers = Arc<Mutex<BTreeSet<u64>>>;

    fn envelope(self) -> Option<Envelope> {
        let state = Bytes::from(vec![7; self.1]);
        let store = StoreRequest { state, ..StoreRequest::default() };
        let request = Request { op: Some(Op::Store(store)), ..Request::default() };
        Some(Envelope { id: self.0, body: Some(envelope::Body::Request(request)) })
    }

    fn is_wanted(id: u64, by: &Self::Readers) -> bool {
        !by.lock().unwrap().contains(&id)
    }
}

fn outbox() -> Arc<Outbox<Storing>> {
    Arc::new(Outbox::new(Bounds { waiting: 8, waiting_bytes: 16 << 20, frame: 2, frame_bytes: 6 }))
}

fn push(outbox: &Outbox<Storing>, id: u64, bytes: usize) {
    outbox.push(bytes, Order::Any, Storing(id, bytes)).unwrap();
}

/// The ids in a frame, each with whether it is a whole message.
fn seen(envelopes: &[Envelope]) -> Vec<(u64, bool)> {
    let whole = |envelope: &Envelope| matches!(envelope.body, Some(envelope::Body::Request(_)));
    envelopes.iter().map(|envelope| (envelope.id, whole(envelope))).collect()
}

#[tokio::test]
async fn large_messages_take_turns_and_small_ones_go_beside_them() {
    let outbox = outbox();
    push(&outbox, 1, 2 * WHOLE);
    push(&outbox, 2, WHOLE + 1);
    push(&outbox, 3, 1);
    let mut frames = Frames::new(Arc::clone(&outbox), Arc::default());
    let mut turns = Vec::new();
    for turn in 0.. {
        if turn == 2 {
            push(&outbox, 4, 1);
        }
        let frame = frames.next().await.unwrap();
        assert!(frame.iter().map(Message::encoded_len).sum::<usize>() <= PART + 1024);
        turns.push(seen(&frame));
        if outbox.depth() == (0, 0) {
            break;
        }
    }
    let part = |id| (id, false);
    let expected = [
        vec![(3, true), part(1)],
        vec![part(2)],
        vec![(4, true), part(1)],
        vec![part(2)],
        vec![part(1)],
        vec![part(2)],
        vec![part(1)],
        vec![part(1)],
    ];
    assert_eq!(turns, expected);
}

#[tokio::test]
async fn one_that_is_given_up_is_void_and_makes_room() {
    let (outbox, gone) = (outbox(), Arc::new(Mutex::new(BTreeSet::new())));
    push(&outbox, 1, 4 * WHOLE);
    push(&outbox, 2, 4 * WHOLE);
    let mut frames = Frames::new(Arc::clone(&outbox), Arc::clone(&gone));
    assert_eq!(seen(&frames.next().await.unwrap()), [(1, false)]);
    // One of which a part has gone, and one that nobody has heard of.
    gone.lock().unwrap().extend([1, 2]);
    push(&outbox, 3, 1);
    assert_eq!(seen(&frames.next().await.unwrap()), [(3, true)]);
    let frame = frames.next().await.unwrap();
    assert!(matches!(&frame[0].body, Some(envelope::Body::Part(part)) if part.void && part.index == 1));
    assert_eq!(outbox.depth(), (0, 0));
}

#[tokio::test]
async fn who_waits_for_room_gets_it_when_something_has_gone() {
    let outbox = Arc::new(Outbox::new(Bounds { waiting: 8, waiting_bytes: 10, frame: 2, frame_bytes: 6 }));
    outbox.push(10, Order::Any, Storing(1, 10)).unwrap();
    let waiting = tokio::spawn({
        let outbox = Arc::clone(&outbox);
        async move { outbox.push_when_room(10, Storing(2, 10)).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(outbox.depth(), (1, 10));
    let mut frames = Frames::new(Arc::clone(&outbox), Arc::default());
    assert_eq!(seen(&frames.next().await.unwrap()), [(1, true)]);
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(seen(&frames.next().await.unwrap()), [(2, true)]);
}

#[tokio::test]
async fn a_closed_one_is_emptied_and_lets_nobody_wait() {
    let outbox = Arc::new(Outbox::new(Bounds { waiting: 8, waiting_bytes: 10, frame: 2, frame_bytes: 6 }));
    outbox.push(10, Order::Any, Storing(1, 10)).unwrap();
    outbox.push(WHOLE + 1, Order::Any, Storing(2, WHOLE + 1)).unwrap();
    let waiting = tokio::spawn({
        let outbox = Arc::clone(&outbox);
        async move { outbox.push_when_room(10, Storing(3, 10)).await }
    });
    tokio::task::yield_now().await;
    outbox.close();
    assert_eq!(waiting.await.unwrap(), Err(NotTaken::Closed));
    assert_eq!(outbox.push(1, Order::Any, Storing(4, 1)), Err(NotTaken::Closed));
    let mut frames = Frames::new(outbox, Arc::default());
    assert_eq!(seen(&frames.next().await.unwrap()), [(1, true), (2, false)]);
    assert_eq!(seen(&frames.next().await.unwrap()), [(2, false)]);
    assert_eq!(seen(&frames.next().await.unwrap()), [(2, false)]);
    assert_eq!(frames.next().await, None);
}
