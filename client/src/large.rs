//! Reads whose answers are too large for one message: asked for again, in pieces. They are not hedged, since two of them
//! would be twice as much to carry, and their time is bounded by the pieces: one has to come within an attempt's time.

use std::time::Duration;

use dynamo_proto::v1 as proto;
use dynamo_proto::v1::kv_client::KvClient;
use futures::StreamExt;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::attempt;
use crate::client::Inner;
use crate::error::Error;
use crate::failure::too_large;
use crate::pieces::{PieceError, Pieces};
use crate::router::{Intent, Place};

/// Reads a key in pieces, as a single read would.
pub(crate) async fn read(
    inner: &Inner,
    message: proto::GetRequest,
    within: Duration,
) -> Result<proto::GetResponse, Error> {
    let (patience, most) = (inner.options.attempt, inner.options.largest_answer);
    let key = message.key.clone();
    let call = |client, request| in_pieces(client, request, patience, most);
    let place = Place::Key(&key);
    attempt::run(inner, "GetStream", Intent::ReadInPieces, place, message, within, call).await
}

async fn in_pieces(
    mut client: KvClient<Channel>,
    request: Request<proto::GetRequest>,
    patience: Duration,
    most: usize,
) -> Result<Response<proto::GetResponse>, Status> {
    let late = |_| Status::deadline_exceeded("the next piece of the answer did not come in time");
    let mut stream = timeout(patience, client.get_stream(request)).await.map_err(late)??.into_inner();
    let mut coming = Pieces::new(most);
    while let Some(piece) = timeout(patience, stream.next()).await.map_err(late)? {
        coming.take(piece?).map_err(|why| status(&why))?;
    }
    coming.whole().map(Response::new).map_err(|why| status(&why))
}

fn status(why: &PieceError) -> Status {
    match why {
        PieceError::TooLarge { .. } => too_large(why.to_string()),
        // Another coordinator may do better.
        PieceError::Broken(_) => Status::data_loss(why.to_string()),
    }
}
