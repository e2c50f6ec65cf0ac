//! `DELETE /v1/spaces/{org}/{project}`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use memcloud_api::Problems;
use memcloud_api::native::SpaceDetails;
use memcloud_http::{Admin, Allowed, ApiError, NoBody};

use super::{details, unknown};
use crate::App;
use crate::api::responses::NotFound;
use crate::params::{PathSpace, QueryParams};

/// Deletes a space with all its sessions, messages and facts.
///
/// From the answer on, nothing in the space is found, and stores in it are refused. Its data are removed in the background;
/// then `GET` answers 404, and a new space can be created under its name.
#[utoipa::path(
    delete,
    path = "/v1/spaces/{org}/{project}",
    operation_id = "delete_space",
    tag = "spaces",
    params(PathSpace),
    responses(
        (status = 202, description = "The space is being deleted, with the sessions, messages and facts that are counted.", body = SpaceDetails),
        NotFound,
    ),
)]
pub(crate) async fn delete(
    allowed: Allowed<Admin>,
    State(app): State<App>,
    space: PathSpace,
    query: QueryParams,
    _: NoBody,
) -> Result<(StatusCode, Json<SpaceDetails>), ApiError> {
    let space = Problems::none_in(|problems| {
        query.only(&[], problems);
        space.space(problems)
    })?;
    let space = allowed.enter(space)?;
    let before = details(&app.memory, &space).await?;
    if !app.memory.delete_space(&space).await? {
        return Err(unknown());
    }
    tracing::info!(by = %allowed.id(), messages = before.episodes, "space deleted");
    let mut deleted = before;
    (deleted.space.state, deleted.space.description) = ("deleting".into(), String::new());
    Ok((StatusCode::ACCEPTED, Json(deleted)))
}
