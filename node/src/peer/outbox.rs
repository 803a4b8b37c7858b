//! The box in front of one stream: filled by many, emptied into frames by one. Large messages are cut into parts here, a
//! part a frame, in turns, with small messages beside them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynamo_proto::v1::{Envelope, envelope};
use prost::Message;
use tokio::sync::Notify;

use super::lanes::{Bounds, Lanes, NotTaken, Order, Taken};
use super::parts::Cut;

/// Large messages of one stream that are on their way at a time.
const ABREAST: usize = 4;

#[derive(Debug)]
struct Inner<T> {
    lanes: Lanes<T>,
    closed: bool,
}

/// What waits to be sent on one stream.
#[derive(Debug)]
pub struct Outbox<T> {
    inner: Mutex<Inner<T>>,
    filled: Notify,
    drained: Notify,
}

impl<T> Outbox<T> {
    /// An empty one.
    pub fn new(bounds: Bounds) -> Self {
        let inner = Inner { lanes: Lanes::new(bounds), closed: false };
        Self { inner: Mutex::new(inner), filled: Notify::new(), drained: Notify::new() }
    }

    /// Nothing that holds the lock can panic half way, so a poisoned lock guards whole data.
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message of so many bytes, or refuses it at once.
    pub fn push(&self, bytes: usize, order: Order, message: T) -> Result<(), NotTaken> {
        self.try_push(bytes, order, message).map_err(|(why, _)| why)
    }

    /// Takes a message of so many bytes as soon as there is room. For answers: they must not be lost, and what they
    /// answer was bounded already.
    pub async fn push_when_room(&self, bytes: usize, message: T) -> Result<(), NotTaken> {
        let mut message = message;
        loop {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            // Registered before looking, so that no wake-up falls between.
            drained.as_mut().enable();
            match self.try_push(bytes, Order::Any, message) {
                Ok(()) => return Ok(()),
                Err((NotTaken::Closed, _)) => return Err(NotTaken::Closed),
                Err((NotTaken::Full, back)) => message = back,
            }
            drained.await;
        }
    }

    fn try_push(&self, bytes: usize, order: Order, message: T) -> Result<(), (NotTaken, T)> {
        let mut inner = self.lock();
        if inner.closed {
            return Err((NotTaken::Closed, message));
        }
        inner.lanes.push(bytes, order, message).map_err(|back| (NotTaken::Full, back))?;
        self.filled.notify_one();
        Ok(())
    }

    /// What goes next, with up to `places` large ones; `None` once it is closed and empty. With `patient` it waits until
    /// there is something. One caller only.
    async fn take(&self, places: usize, patient: bool) -> Option<Taken<T>> {
        loop {
            {
                let mut inner = self.lock();
                let taken = inner.lanes.take(places);
                if !taken.is_empty() || !patient {
                    self.drained.notify_waiters();
                    return Some(taken);
                }
                if inner.closed && inner.lanes.is_empty() {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }

    /// So many bytes of a large message have gone; or no more of it goes.
    fn sent(&self, place: u64, bytes: usize, ended: bool) {
        let mut inner = self.lock();
        inner.lanes.sent(place, bytes);
        if ended {
            inner.lanes.ended(place);
        }
        self.drained.notify_waiters();
    }

    /// Lets nothing more in. What waits is still handed out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
        self.drained.notify_waiters();
    }

    /// Messages and bytes that wait.
    pub fn depth(&self) -> (usize, usize) {
        self.lock().lanes.depth()
    }
}

/// A message that becomes an envelope when it is sent.
pub trait Post {
    /// The envelope; nothing if it is not to be sent any more.
    fn envelope(self) -> Option<Envelope>;

    /// Whether anybody still waits for the message of this id, of which a part has gone.
    fn is_wanted(id: u64, by: &Self::Readers) -> bool;

    /// Who knows that.
    type Readers;
}

/// Makes the frames of one stream out of its box.
#[derive(Debug)]
pub struct Frames<T: Post> {
    outbox: Arc<Outbox<T>>,
    readers: T::Readers,
    /// Large messages on their way: their places in the box, their ids. The front one is next.
    cuts: VecDeque<(u64, u64, Cut)>,
}

impl<T: Post> Frames<T> {
    /// The frames of what is put into `outbox`.
    pub const fn new(outbox: Arc<Outbox<T>>, readers: T::Readers) -> Self {
        Self { outbox, readers, cuts: VecDeque::new() }
    }

    /// The envelopes of the next frame, as soon as there are any; `None` once the box is closed and all of it has gone.
    pub async fn next(&mut self) -> Option<Vec<Envelope>> {
        loop {
            let places = ABREAST.saturating_sub(self.cuts.len());
            let taken = self.outbox.take(places, self.cuts.is_empty()).await?;
            let mut envelopes: Vec<Envelope> = taken.whole.into_iter().filter_map(T::envelope).collect();
            for (place, message) in taken.large {
                match message.envelope() {
                    Some(envelope) => self.cuts.push_back((place, envelope.id, cut(envelope))),
                    None => self.outbox.sent(place, 0, true),
                }
            }
            envelopes.extend(self.part());
            if !envelopes.is_empty() {
                return Some(envelopes);
            }
        }
    }

    /// The next part of the large message whose turn it is.
    fn part(&mut self) -> Option<Envelope> {
        let (place, id, mut cut) = self.cuts.pop_front()?;
        let wanted = T::is_wanted(id, &self.readers);
        let part = if wanted { Some(cut.next_part()) } else { cut.void() };
        let (bytes, last) = part.as_ref().map_or((0, true), |part| (part.data.len(), part.last || part.void));
        self.outbox.sent(place, bytes, last);
        if !last {
            self.cuts.push_back((place, id, cut));
        }
        part.map(|part| Envelope { id, body: Some(envelope::Body::Part(part)) })
    }
}

fn cut(envelope: Envelope) -> Cut {
    let bytes = match envelope.body {
        Some(envelope::Body::Request(request)) => request.encode_to_vec(),
        Some(envelope::Body::Response(response)) => response.encode_to_vec(),
        Some(envelope::Body::Part(_)) | None => Vec::new(),
    };
    Cut::new(bytes.into())
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
