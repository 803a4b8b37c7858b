//! One request from its first attempt to its last: performs what `router` and `retry` decide.

use std::future::{Future, pending};
use std::pin::pin;
use std::time::{Duration, Instant};

use dynamo_proto::v1::kv_client::KvClient;
use dynamo_telemetry::propagate;
use futures::future::{Either, select};
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::client::Inner;
use crate::error::Error;
use crate::failure::Failure;
use crate::hedge::Hedging;
use crate::pool::LARGEST_MESSAGE;
use crate::retry::{Decision, Moment, decide};
use crate::router::{Intent, Known, Place, candidates};
use crate::spans;
use crate::statistics::Counters;

/// Calls `call` on one coordinator after the other until one succeeds or `within` is over. Traces know it as `op`.
pub(crate) async fn run<M, T, F>(
    inner: &Inner,
    op: &'static str,
    intent: Intent,
    place: Place<'_>,
    message: M,
    within: Duration,
    call: impl Fn(KvClient<Channel>, Request<M>) -> F,
) -> Result<T, Error>
where
    M: Clone,
    F: Future<Output = Result<Response<T>, Status>>,
{
    let span = spans::call(op);
    let answer = attempts(inner, intent, place, message, within, call).instrument(span.clone()).await;
    spans::ended(&span, answer)
}

async fn attempts<M, T, F>(
    inner: &Inner,
    intent: Intent,
    place: Place<'_>,
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
        let mut list = addresses(inner, intent, place, pauses).into_iter();
        while let Some(address) = list.next() {
            let left = deadline.saturating_duration_since(Instant::now());
            if attempts > 0 {
                Counters::add(&inner.counters.retries);
            }
            attempts = attempts.saturating_add(1);
            // Pieces have their own time, each as much as an attempt.
            let whole = intent == Intent::ReadInPieces;
            let patience = if whole { left } else { left.min(inner.options.attempt) };
            let second = list.as_slice().first().filter(|_| intent == Intent::Read);
            let asked = hedged(inner, &address, second, &message, patience, &call).await?;
            let failure = match asked {
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
pub(crate) fn addresses(inner: &Inner, intent: Intent, place: Place<'_>, pauses: u32) -> Vec<String> {
    let record = inner.options.direct.then(|| inner.knowledge.record()).flatten();
    let known = Known { record: record.as_deref(), seeds: &inner.seeds };
    let mut list: Vec<String> = inner.with_health(|health| {
        candidates(known, intent, place, |address| health.suspects(address))
            .into_iter()
            .map(str::to_owned)
            .collect()
    });
    let turn = usize::try_from(pauses).unwrap_or(0) % list.len().max(1);
    list.rotate_left(turn);
    list
}

/// What calls the node at this address.
pub(crate) fn caller(inner: &Inner, address: &str) -> Result<KvClient<Channel>, Error> {
    Ok(KvClient::new(inner.pool.channel(address)?)
        .max_decoding_message_size(LARGEST_MESSAGE)
        .max_encoding_message_size(LARGEST_MESSAGE))
}

/// One attempt, and a second one beside it, at another address, if the first is late and the budget allows. The answer
/// that is there first counts; the other attempt is dropped.
async fn hedged<M, T, F>(
    inner: &Inner,
    first: &str,
    second: Option<&String>,
    message: &M,
    patience: Duration,
    call: &impl Fn(KvClient<Channel>, Request<M>) -> F,
) -> Result<Result<T, Failure>, Error>
where
    M: Clone,
    F: Future<Output = Result<Response<T>, Status>>,
{
    let begun = Instant::now();
    let Some(second) = second else { return once(inner, first, message.clone(), patience, call).await };
    let mut one = pin!(once(inner, first, message.clone(), patience, call));
    let delay = inner.with_hedging(|hedging| hedging.delay());
    let late = async {
        match delay {
            Some(delay) if !inner.with_health(|health| health.suspects(second)) => sleep(delay).await,
            _ => pending().await,
        }
    };
    let in_time = tokio::select! {
        biased;
        answer = &mut one => Some(answer?),
        () = late => None,
    };
    let answer = match in_time {
        Some(answer) => answer,
        None if !inner.with_hedging(Hedging::take) => one.await?,
        None => {
            Counters::add(&inner.counters.hedges);
            let left = patience.saturating_sub(begun.elapsed());
            let two = pin!(once(inner, second, message.clone(), left, call));
            match select(one, two).await {
                Either::Left((answer, two)) => match answer? {
                    Err(failure) => two.await?.map_err(|_| failure),
                    answer => answer,
                },
                Either::Right((answer, one)) => match answer {
                    Ok(Ok(answer)) => Ok(answer),
                    // The first attempt stands as it was.
                    _ => one.await?,
                },
            }
        }
    };
    if answer.is_ok() {
        inner.with_hedging(|hedging| hedging.answered(begun.elapsed()));
    }
    Ok(answer)
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
    let client = caller(inner, address)?;
    let mut request = Request::new(message);
    // Travels with the request, so that a coordinator drops work whose client has gone on.
    request.set_timeout(patience);
    let span = spans::attempt(address);
    span.in_scope(|| propagate::inject(request.metadata_mut()));
    Ok(match timeout(patience, call(client, request)).instrument(span).await {
        Ok(Ok(answer)) => {
            inner.with_health(|health| health.answered(address));
            Ok(answer.into_inner())
        }
        Ok(Err(status)) => Err(Failure::of(address, &status)),
        Err(_) => Err(Failure::timed_out(address)),
    })
}
