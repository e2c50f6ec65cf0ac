//! `DELETE /v1/sessions`

use axum::Json;
use axum::extract::State;
use memcloud_api::native::{DeleteSession, Deleted};
use memcloud_http::{Admin, Allowed, ApiError, TypedBody};

use super::named;
use crate::App;
use crate::api::responses::NotFound;
use crate::params::QueryParams;

/// Deletes a session for good: its messages, its members and its name.
///
/// `DELETE /v1/memories` deletes the messages and leaves the session. A long session is deleted in steps; after an error
/// the request can be repeated.
#[utoipa::path(
    delete,
    path = "/v1/sessions",
    operation_id = "delete_session",
    tag = "sessions",
    request_body = DeleteSession,
    responses((status = 200, description = "The session is deleted. `deleted` counts its messages.", body = Deleted), NotFound),
)]
pub(crate) async fn delete(
    allowed: Allowed<Admin>,
    State(app): State<App>,
    query: QueryParams,
    body: TypedBody<DeleteSession>,
) -> Result<Json<Deleted>, ApiError> {
    let (space, name) = named(&allowed, &query, body, |DeleteSession { group_id, session_id }| {
        [("group_id", group_id), ("session_id", session_id)]
    })?;
    let unknown = || {
        ApiError::not_found("no such session in this group").with_hint("GET /v1/sessions lists the sessions")
    };
    let deleted = app.memory.delete_session(&space, &name).await?.ok_or_else(unknown)?;
    tracing::info!(by = %allowed.id(), messages = deleted, "session deleted");
    Ok(Json(Deleted { deleted }))
}
