//! One request from its first attempt to its last: performs what `router` and `retry` decide.

use std::future::Future;
use std::time::{Duration, Instant};

use dynamo_proto::v1::kv_client::KvClient;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::client::Inner;
use crate::error::Error;
use crate::failure::Failure;
use crate::pool::LARGEST_ANSWER;
use crate::retry::{Decision, Moment, decide};
use crate::router::{Intent, Known, candidates};
use crate::statistics::Counters;

/// Calls `call` on one coordinator after the other until one succeeds or `within` is over.
pub(crate) async fn run<M, T, F>(
    inner: &Inner,
    intent: Intent,
    key: &[u8],
    message: M,
    within: Duration,
    call: impl Fn(KvClient<Channel>, Request<M>) -> F,
) -> Result<T, Error>
where
    M: Clone,
    F: Future<Output = Result<Response<T>, Status>>,
{
    Counters::add(&inner.counters.requests);
    let deadline = Instant::now() + within;
    let (mut attempts, mut pauses) = (0u32, 0u32);
    loop {
        let mut list = addresses(inner, intent, key, pauses).into_iter();
        while let Some(address) = list.next() {
            let left = deadline.saturating_duration_since(Instant::now());
            if attempts > 0 {
                Counters::add(&inner.counters.retries);
            }
            attempts = attempts.saturating_add(1);
            let patience = left.min(inner.options.attempt);
            let failure = match once(inner, &address, message.clone(), patience, &call).await? {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            tracing::debug!(attempts, failure = failure.text(), "attempt failed");
            inner.note_failure(&address, failure.suspect);
            let moment = Moment {
                kind: failure.kind,
                pauses,
                untried: list.len(),
                left: deadline.saturating_duration_since(Instant::now()),
                jitter: rand::random(),
            };
            match decide(moment) {
                Decision::Next => {}
                Decision::GiveUp => return Err(failure.into_error(attempts)),
                Decision::After(pause) => {
                    tokio::time::sleep(pause).await;
                    pauses = pauses.saturating_add(1);
                    break;
                }
            }
        }
    }
}

/// The candidates as of now. After each pause another one comes first: a coordinator that cannot reach its peers would
/// say the same again.
fn addresses(inner: &Inner, intent: Intent, key: &[u8], pauses: u32) -> Vec<String> {
    let record = inner.options.direct.then(|| inner.knowledge.record()).flatten();
    let known = Known { record: record.as_deref(), seeds: &inner.seeds };
    let mut list: Vec<String> = inner.with_health(|health| {
        candidates(known, intent, key, |address| health.suspects(address))
            .into_iter()
            .map(str::to_owned)
            .collect()
    });
    let turn = usize::try_from(pauses).unwrap_or(0) % list.len().max(1);
    list.rotate_left(turn);
    list
}

/// One attempt. The outer error is one of the address, which no attempt cures.
async fn once<M, T, F>(
    inner: &Inner,
    address: &str,
    message: M,
    patience: Duration,
    call: &impl Fn(KvClient<Channel>, Request<M>) -> F,
) -> Result<Result<T, Failure>, Error>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let channel = inner.pool.channel(address)?;
    let client = KvClient::new(channel)
        .max_decoding_message_size(LARGEST_ANSWER)
        .max_encoding_message_size(LARGEST_ANSWER);
    let mut request = Request::new(message);
    // Travels with the request, so that a coordinator drops work whose client has gone on.
    request.set_timeout(patience);
    Ok(match timeout(patience, call(client, request)).await {
        Ok(Ok(answer)) => {
            inner.with_health(|health| health.answered(address));
            Ok(answer.into_inner())
        }
        Ok(Err(status)) => Err(Failure::of(address, &status)),
        Err(_) => Err(Failure::timed_out(address)),
    })
}
