//! `GET /api/users`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::console::Users;
use memcloud_control::Caller;
use memcloud_http::{Admin, Allowed, ApiError};

use super::shown;
use crate::App;
use crate::error::refused;

/// Lists the users of the organization by name.
#[utoipa::path(
    get,
    path = "/api/users",
    operation_id = "list_users",
    tag = "access",
    responses((status = 200, description = "The users.", body = Users)),
)]
pub(crate) async fn list(
    _: Allowed<Admin>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Users>, ApiError> {
    let users = app.accounts.users(&caller).await.map_err(refused)?;
    Ok(Json(Users { users: users.into_iter().map(shown).collect() }))
}
