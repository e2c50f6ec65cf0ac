//! `POST /v1/memories/profile/queue/retry`

use axum::Json;
use axum::extract::State;
use memcloud_api::native::RetriedMessages;
use memcloud_http::{Allowed, ApiError, NoBody, Write};

use super::spaces;
use crate::App;
use crate::params::QueryParams;

/// Retries the messages whose learning failed permanently.
#[utoipa::path(
    post,
    path = "/v1/memories/profile/queue/retry",
    operation_id = "retry_profile_queue",
    tag = "profile",
    params(("group_id" = Option<String>, Query, description = "The group. Default: all of them.")),
    responses((status = 200, description = "The messages wait to be learned from again.", body = RetriedMessages)),
)]
pub(crate) async fn retry(
    allowed: Allowed<Write>,
    State(app): State<App>,
    mut query: QueryParams,
    _: NoBody,
) -> Result<Json<RetriedMessages>, ApiError> {
    let mut retried = 0;
    for space in spaces(&allowed, &mut query)? {
        retried += app.memory.engine().learning.unpark(space.as_ref()).await?;
    }
    Ok(Json(RetriedMessages { retried }))
}
