//! `GET` and `DELETE /v1/memories/{id}`, additions of ours.

use axum::Json;
use axum::extract::State;
use memcloud_api::PrefixedId;
use memcloud_domain::{Caller, EpisodeId, Space};
use memcloud_ports::Deletion;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::V1;
use super::list::{ListedEpisode, space};
use crate::allowed::{Allowed, Read, Write};
use crate::failure::{Failure, FailureBody};
use crate::fields::{PathId, Place, QueryFields};

/// How many were deleted.
#[derive(Serialize, ToSchema)]
#[schema(as = Deleted)]
pub(super) struct DeletedBody {
    deleted: u64,
}

/// Reads one message. An addition to the first API.
#[utoipa::path(
    get,
    path = "/v1/memories/{id}",
    operation_id = "read_memory",
    tag = "memories",
    params(
        ("id" = String, Path, description = "The UUID of the message, with or without `episode-`."),
        ("group_id" = Option<String>, Query, description = "The group it belongs to. Default: `default`."),
    ),
    responses(
        (status = 200, description = "The message.", body = ListedEpisode),
        (status = 404, description = "The group has no such message.", body = FailureBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn read(
    allowed: Allowed<Read>,
    State(v1): State<V1>,
    PathId(id): PathId,
    query: QueryFields,
) -> Result<Json<ListedEpisode>, Failure> {
    let (space, id) = named(&allowed, &id, query)?;
    let found = v1.app.memory.episodes(&space, &[id]).await?;
    found.into_iter().next().map(|episode| Json(episode.into())).ok_or_else(Failure::no_episode)
}

/// Deletes one message for good. An addition to the first API.
#[utoipa::path(
    delete,
    path = "/v1/memories/{id}",
    operation_id = "delete_memory",
    tag = "memories",
    params(
        ("id" = String, Path, description = "The UUID of the message, with or without `episode-`."),
        ("group_id" = Option<String>, Query, description = "The group it belongs to. Default: `default`."),
    ),
    responses(
        (status = 200, description = "It is gone.", body = DeletedBody),
        (status = 404, description = "The group has no such message.", body = FailureBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn delete(
    allowed: Allowed<Write>,
    State(v1): State<V1>,
    PathId(id): PathId,
    query: QueryFields,
) -> Result<Json<DeletedBody>, Failure> {
    let (space, id) = named(&allowed, &id, query)?;
    match v1.app.memory.forget(&space, Deletion::Episodes(vec![id])).await? {
        0 => Err(Failure::no_episode()),
        deleted => Ok(Json(DeletedBody { deleted })),
    }
}

fn named(caller: &Caller, id: &str, mut query: QueryFields) -> Result<(Space, EpisodeId), Failure> {
    let id = id.parse::<PrefixedId>().map_err(|error| Place::path("id").refuse(&error, &Value::from(id)))?;
    Ok((space(caller, &mut query)?, id.0))
}
