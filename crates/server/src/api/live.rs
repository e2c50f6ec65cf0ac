//! `GET /health/live`

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// That the process runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Live {
    /// Always `alive`.
    status: &'static str,
}

/// Says that the process runs, without looking at anything. Needs no key.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "operation",
    responses((status = 200, description = "The process runs.", body = Live)),
    security(())
)]
pub(crate) async fn live() -> Json<Live> {
    Json(Live { status: "alive" })
}
