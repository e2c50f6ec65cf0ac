//! `DELETE /v1/users`

use axum::Json;
use axum::extract::State;
use memcloud_api::native::{DeleteUser, Deleted};
use memcloud_http::{Admin, Allowed, ApiError, TypedBody};

use super::named;
use crate::App;
use crate::api::responses::NotFound;
use crate::params::QueryParams;

/// Forgets a person in a group for good: the messages that they wrote and those that were written for them, all facts about
/// them, and their name in sessions.
///
/// Messages of others stay, also where their text mentions the person, and so does the person in other groups. After an
/// error the request can be repeated.
#[utoipa::path(
    delete,
    path = "/v1/users",
    operation_id = "delete_user",
    tag = "sessions",
    request_body = DeleteUser,
    responses((status = 200, description = "The person is forgotten. `deleted` counts the messages.", body = Deleted), NotFound),
)]
pub(crate) async fn delete(
    allowed: Allowed<Admin>,
    State(app): State<App>,
    query: QueryParams,
    body: TypedBody<DeleteUser>,
) -> Result<Json<Deleted>, ApiError> {
    let (space, name) = named(&allowed, &query, body, |DeleteUser { group_id, user_id }| {
        [("group_id", group_id), ("user_id", user_id)]
    })?;
    let unknown = || ApiError::not_found("no such user in this group");
    let deleted = app.memory.forget_person(&space, &name).await?.ok_or_else(unknown)?;
    tracing::info!(by = %allowed.id(), messages = deleted, "user deleted");
    Ok(Json(Deleted { deleted }))
}
