//! Large answers: which are too long for one message, and how a stream brings them in pieces. Pure, but for the sending.

use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use dynamo_proto::v1::get_piece::Piece;
use dynamo_proto::v1::{GetHead, GetPiece, GetResponse, Sibling, VersionHead, VersionPiece};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::answers::Found;

/// Bytes of a value in one piece.
pub const PIECE: usize = 512 << 10;

/// What an answer has beside the longest value: key, context, framing.
pub const AROUND_A_VALUE: usize = 1 << 20;

/// No limit of an answer is lower: what any gRPC client takes without being told.
const LEAST: usize = 4 << 20;

/// Pieces that wait at the connection of a client.
const AHEAD: usize = 2;

/// Bytes that an answer may have in one message, where values have up to `max_value`.
pub fn longest_answer(max_value: usize) -> usize {
    LEAST.max(max_value.saturating_add(AROUND_A_VALUE))
}

/// The pieces of an answer, in the order in which they go. None is a copy.
pub fn pieces(mut answer: GetResponse) -> impl Iterator<Item = GetPiece> + Send + use<> {
    let siblings = std::mem::take(&mut answer.siblings);
    let head = GetHead {
        versions: u32::try_from(siblings.len()).unwrap_or(u32::MAX),
        bytes: siblings.iter().map(|sibling| sibling.value.len() as u64).sum(),
        answer: Some(answer),
    };
    let head = std::iter::once(Piece::Head(head));
    let versions = siblings.into_iter().flat_map(version).map(Piece::Version);
    head.chain(versions).map(|piece| GetPiece { piece: Some(piece) })
}

fn version(sibling: Sibling) -> impl Iterator<Item = VersionPiece> + Send {
    let Sibling { mut value, written_at_ms, expires_at_ms } = sibling;
    let mut begins = Some(VersionHead { bytes: value.len() as u64, written_at_ms, expires_at_ms });
    std::iter::from_fn(move || {
        let first = begins.take();
        if first.is_none() && value.is_empty() {
            return None;
        }
        let data: Bytes = value.split_to(value.len().min(PIECE));
        Some(VersionPiece { begins: first, data })
    })
}

/// Sends what was found, piece by piece, as the client takes them. It is held until the last piece has been handed over,
/// until the client has gone, or until it has taken none for as long as `patience`.
pub fn send(found: Found, patience: Duration) -> BoxStream<'static, Result<GetPiece, Status>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let Found { response, held } = found;
    let sending = tokio::spawn(async move {
        let _held = held;
        for piece in pieces(response) {
            match timeout(patience, sender.send(Ok(piece))).await {
                Ok(Ok(())) => {}
                // The client has gone.
                Ok(Err(_)) => break,
                Err(_) => {
                    tracing::info!(?patience, "a client that takes no more of its answer is given up");
                    return Err(Status::deadline_exceeded(format!("no piece was taken within {patience:?}")));
                }
            }
        }
        Ok(())
    });
    let end = sending.map(|ended| ended.unwrap_or_else(|why| Err(Status::internal(why.to_string()))).err());
    ReceiverStream::new(receiver).chain(end.into_stream().filter_map(|why| ready(why.map(Err)))).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Version = (VersionHead, Vec<u8>);

    fn sibling(bytes: usize) -> Sibling {
        Sibling { value: vec![7; bytes].into(), written_at_ms: bytes as u64, expires_at_ms: Some(9) }
    }

    #[test]
    fn an_answer_comes_whole_and_in_order_and_no_piece_is_large() {
        let sizes = [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE];
        let answer = GetResponse {
            siblings: sizes.map(sibling).to_vec(),
            context: Bytes::from_static(b"c"),
            answered: 2,
            ..GetResponse::default()
        };
        let mut came: Option<(GetHead, Vec<Version>)> = None;
        for piece in pieces(answer.clone()) {
            match (piece.piece.unwrap(), &mut came) {
                (Piece::Head(head), None) => came = Some((head, Vec::new())),
                (Piece::Version(VersionPiece { begins, data }), Some((_, versions))) => {
                    assert!(data.len() <= PIECE);
                    versions.extend(begins.map(|head| (head, Vec::new())));
                    versions.last_mut().unwrap().1.extend_from_slice(&data);
                }
                (piece, _) => panic!("{piece:?} is out of place"),
            }
        }
        let (head, versions) = came.unwrap();
        assert_eq!((head.versions, head.bytes), (6, sizes.iter().sum::<usize>() as u64));
        let mut again = head.answer.unwrap();
        assert!(again.siblings.is_empty());
        again.siblings = versions
            .into_iter()
            .map(|(head, value)| {
                assert_eq!(head.bytes, value.len() as u64);
                let VersionHead { written_at_ms, expires_at_ms, .. } = head;
                Sibling { value: value.into(), written_at_ms, expires_at_ms }
            })
            .collect();
        assert_eq!(again, answer);
    }

    #[test]
    fn one_message_takes_any_single_value_and_at_least_what_every_client_takes() {
        assert_eq!(longest_answer(1 << 20), 4 << 20);
        assert_eq!(longest_answer(16 << 20), 17 << 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_holds_its_answer_for_a_bounded_time() {
        let room = crate::peer::room::Room::new(1 << 30);
        let response = GetResponse { siblings: vec![sibling(20 * PIECE)], ..GetResponse::default() };
        let found = || Found { response: response.clone(), held: room.take(20 * PIECE) };
        let patience = Duration::from_secs(10);
        let mut stuck = send(found(), patience);
        assert!(stuck.next().await.is_some());
        assert!(room.held() >= 20 * PIECE);
        tokio::time::sleep(2 * patience).await;
        assert_eq!(room.held(), 0, "given up");
        let left: Vec<_> = stuck.collect().await;
        assert!(left.len() <= AHEAD + 2, "the rest is gone");
        assert!(left.last().unwrap().is_err(), "an answer that is not whole does not end well");

        let gone = send(found(), patience);
        tokio::task::yield_now().await;
        drop(gone);
        tokio::task::yield_now().await;
        assert_eq!(room.held(), 0, "nobody waits for it");

        let read: Vec<_> = send(found(), patience).collect().await;
        assert_eq!((read.len(), room.held()), (21, 0));
    }
}
