//! `DELETE /v1/memories/{id}`

use axum::Json;
use axum::extract::State;
use memcloud_api::native::Deleted;
use memcloud_api::{PrefixedId, Problems};
use memcloud_http::{Allowed, ApiError, NoBody, Write};

use super::{named, no_episode};
use crate::App;
use crate::api::responses::NotFound;
use crate::params::{PathId, QueryParams};

/// Deletes one message for good.
#[utoipa::path(
    delete,
    path = "/v1/memories/{id}",
    operation_id = "delete_memory",
    tag = "memories",
    params(
        ("id" = PrefixedId, Path, description = "The UUID of the message, with or without `episode-`."),
        ("group_id" = Option<String>, Query, description = "The group it belongs to. Default: `default`."),
    ),
    responses((status = 200, description = "The message is deleted.", body = Deleted), NotFound),
)]
pub(crate) async fn delete(
    allowed: Allowed<Write>,
    State(app): State<App>,
    id: PathId,
    query: QueryParams,
    _: NoBody,
) -> Result<Json<Deleted>, ApiError> {
    let (space, id) = Problems::none_in(|problems| {
        query.only(&["group_id"], problems);
        named(id, query, problems)
    })?;
    let space = allowed.enter(space)?;
    match app.memory.engine().episodes.delete(&space, &[id]).await? {
        0 => Err(no_episode()),
        deleted => Ok(Json(Deleted { deleted })),
    }
}
