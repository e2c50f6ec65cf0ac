//! `GET /health/live`

use axum::Json;
use memcloud_api::native::Live;

/// Reports that the process runs, without a check of the memory. Needs no key.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "operation",
    responses(
        (status = 200, description = "The process runs.", body = Live),
        (status = 400, description = "The head can be read in two ways.", body = memcloud_api::Error),
    ),
    security(())
)]
pub(crate) async fn live() -> Json<Live> {
    Json(Live { status: "alive".into() })
}
