//! Keeps what an answer holds until its last byte has been handed to the connection: tonic lets go of a message as soon as
//! it is encoded, and of a response's extensions with its head.

use std::sync::Arc;

use axum::BoxError;
use axum::body::{Body, HttpBody};
use axum::http::Response;
use bytes::Bytes;
use dynamo_proto::v1::GetResponse;
use http_body_util::BodyExt;

use crate::peer::room::Held;

/// What a read found, with the room that it takes until it has gone. Small answers take none: the gate counts them.
#[derive(Debug)]
pub struct Found {
    /// The answer.
    pub response: GetResponse,
    /// Its room.
    pub held: Option<Held>,
}

/// Room that an answer takes, as an extension of its response.
#[derive(Debug, Clone)]
pub struct Holding(#[allow(dead_code, reason = "held for its end")] Arc<Held>);

impl Holding {
    /// What is to be held.
    pub fn new(held: Held) -> Self {
        Self(Arc::new(held))
    }
}

/// Moves what the response holds from its head to its body.
pub async fn hold<B>(mut response: Response<B>) -> Response<Body>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let Some(holding) = response.extensions_mut().remove::<Holding>() else { return response.map(Body::new) };
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _ = &holding;
            frame
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::room::Room;

    #[tokio::test]
    async fn an_answer_holds_its_room_until_its_body_has_gone() {
        let room = Room::new(1 << 20);
        let mut response = Response::new(Body::from("answer"));
        response.extensions_mut().insert(Holding::new(room.take(1 << 10).unwrap()));
        let (head, body) = hold(response).await.into_parts();
        drop(head);
        assert!(room.held() > 0, "the head has gone, the body has not");
        assert_eq!(body.collect().await.unwrap().to_bytes(), "answer");
        assert_eq!(room.held(), 0);
    }
}
