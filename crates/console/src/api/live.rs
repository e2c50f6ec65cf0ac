//! `GET /health/live`

use axum::Json;
use memcloud_api::native::Live;
use memcloud_http::HEAD_TOO_LARGE;

/// Reports that the process runs. Needs no token.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "console",
    responses(
        (status = 200, description = "The process runs.", body = Live),
        (status = 400, description = "The head can be read in two ways. A head that is not HTTP gets this status without a body.", body = memcloud_api::Error),
        (status = 431, description = HEAD_TOO_LARGE),
        (status = 503, description = "All connections are being answered (`too_many_connections`); `Retry-After` says when to ask again.", body = memcloud_api::Error),
    ),
    security(())
)]
pub(crate) async fn live() -> Json<Live> {
    Json(Live { status: "alive".into() })
}
