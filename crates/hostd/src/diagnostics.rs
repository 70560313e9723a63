//! The debug endpoint: metrics, and whether the daemon lives.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;

use crate::effects::Effects;
use crate::host::Host;
use crate::metrics;

/// Routes for whoever may see metrics.
pub(crate) fn routes<E: Effects>(host: Arc<Host<E>>) -> Router {
    Router::new().route("/metrics", get(tell::<E>)).with_state(host)
}

/// Routes for everybody.
pub(crate) fn health() -> Router {
    // Records are read and tasks begun before anything listens.
    Router::new().route("/healthz", get("ok")).route("/readyz", get("ok"))
}

async fn tell<E: Effects>(State(host): State<Arc<Host<E>>>) -> Response {
    match host.metrics_text() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
