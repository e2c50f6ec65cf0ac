//! `GET /metrics`

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use memcloud_http::{Allowed, Read};

use crate::App;

/// What the instance has counted and timed, for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operation",
    responses((status = 200, description = "The Prometheus text format.", content_type = "text/plain", body = String)),
)]
pub(crate) async fn metrics(_: Allowed<Read>, State(app): State<App>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.measures.render())
}
