//! `DELETE /v1/memories/profile/{id}`

use axum::Json;
use axum::extract::State;
use memcloud_api::Problems;
use memcloud_api::native::DeletedFact;
use memcloud_http::{Allowed, ApiError, NoBody, Write};

use crate::App;
use crate::api::memories::space;
use crate::api::responses::NotFound;
use crate::params::{PathId, QueryParams};

/// Deletes one fact for good, whether it holds or held.
#[utoipa::path(
    delete,
    path = "/v1/memories/profile/{id}",
    operation_id = "delete_fact",
    tag = "profile",
    params(
        ("id" = i64, Path, description = "The number of the fact."),
        ("group_id" = Option<String>, Query, description = "The group it was learned in. Default: `default`."),
    ),
    responses((status = 200, description = "The fact is deleted.", body = DeletedFact), NotFound),
)]
pub(crate) async fn delete(
    allowed: Allowed<Write>,
    State(app): State<App>,
    id: PathId,
    mut query: QueryParams,
    _: NoBody,
) -> Result<Json<DeletedFact>, ApiError> {
    let (space, id) = Problems::none_in(|problems| {
        query.only(&["group_id"], problems);
        let id = id.parsed(problems, str::parse);
        Some((space(&mut query, problems), id?))
    })?;
    if app.memory.engine().facts.delete_fact(&(&allowed.enter(space)?).into(), id).await? {
        Ok(Json(DeletedFact { deleted: 1 }))
    } else {
        Err(ApiError::not_found("no such fact in this group"))
    }
}
