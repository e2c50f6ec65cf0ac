//! `DELETE /api/users/{id}`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::console::User;
use memcloud_control::{Caller, UserId};
use memcloud_http::{Admin, Allowed, ApiError, NoBody};

use super::{shown, user};
use crate::App;
use crate::api::params::{Named, NoQuery};
use crate::api::responses::NotNow;
use crate::error::refused;

/// Removes a user with its tokens and sign-ins.
#[utoipa::path(
    delete,
    path = "/api/users/{id}",
    operation_id = "delete_user",
    tag = "access",
    params(("id" = String, Path, description = "The id of the user.")),
    responses((status = 200, description = "The user, who is removed.", body = User), NotNow),
)]
pub(crate) async fn delete(
    _: Allowed<Admin>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<UserId>,
    _: NoQuery,
    _: NoBody,
) -> Result<Json<User>, ApiError> {
    let user = user(&app, &caller, &id).await?;
    app.accounts.delete_user(&caller, &id).await.map_err(refused)?;
    Ok(Json(shown(user)))
}
