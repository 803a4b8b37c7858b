//! The HTTP side: figures for Prometheus, probes for Kubernetes.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::metrics::Metrics;
use crate::phase::Life;

#[derive(Clone)]
struct Shown {
    life: Life,
    metrics: Arc<Metrics>,
}

/// `/metrics`, `/healthz` and `/readyz`.
///
/// Neither probe ever depends on other members: a partition of the network makes nobody unready, and restarting a node
/// that cannot see its peers would cure nothing.
pub fn routes(life: Life, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/metrics", get(figures))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .with_state(Shown { life, metrics })
}

async fn figures(State(shown): State<Shown>) -> Response {
    match shown.metrics.text() {
        Ok(text) => {
            let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, format)], text).into_response()
        }
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why.to_string()).into_response(),
    }
}

async fn healthy(State(shown): State<Shown>) -> Response {
    probe(shown.life.is_healthy(), "ok\n", "the store has failed\n")
}

async fn ready(State(shown): State<Shown>) -> Response {
    probe(shown.life.is_ready(), "ready\n", "no layout names this node, or it is starting or stopping\n")
}

fn probe(good: bool, yes: &'static str, no: &'static str) -> Response {
    let code = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, if good { yes } else { no }).into_response()
}
