//! `GET /v1/memories/{id}`

use axum::Json;
use axum::extract::State;
use memcloud_api::native::ListedEpisode;
use memcloud_api::{PrefixedId, Problems};
use memcloud_http::{Allowed, ApiError, Read};

use super::{named, no_episode};
use crate::App;
use crate::api::responses::NotFound;
use crate::params::{PathId, QueryParams};

/// Reads one message.
#[utoipa::path(
    get,
    path = "/v1/memories/{id}",
    operation_id = "read_memory",
    tag = "memories",
    params(
        ("id" = PrefixedId, Path, description = "The UUID of the message, with or without `episode-`."),
        ("group_id" = Option<String>, Query, description = "The group it belongs to. Default: `default`."),
    ),
    responses((status = 200, description = "The message.", body = ListedEpisode), NotFound),
)]
pub(crate) async fn get(
    allowed: Allowed<Read>,
    State(app): State<App>,
    id: PathId,
    query: QueryParams,
) -> Result<Json<ListedEpisode>, ApiError> {
    let (space, id) = Problems::none_in(|problems| named(id, query, problems))?;
    let space = allowed.enter(space)?;
    let found = app.memory.engine().episodes.episode(&space, id).await?;
    found.map(|episode| Json(episode.into())).ok_or_else(no_episode)
}
