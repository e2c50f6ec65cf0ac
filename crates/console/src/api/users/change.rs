//! `PATCH /api/users/{id}`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::console::{User, UserChanges};
use memcloud_control::{Caller, UserId};
use memcloud_http::{Admin, Allowed, ApiError, TypedBody};

use super::{role, shown};
use crate::App;
use crate::api::params::Named;
use crate::api::responses::NotNow;
use crate::error::refused;

/// Changes a user's role or password. A new password ends the user's sign-ins; a new role counts for its tokens at once.
#[utoipa::path(
    patch,
    path = "/api/users/{id}",
    operation_id = "change_user",
    tag = "access",
    params(("id" = String, Path, description = "The id of the user.")),
    request_body = UserChanges,
    responses((status = 200, description = "The user as it is now.", body = User), NotNow),
)]
pub(crate) async fn change(
    _: Allowed<Admin>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<UserId>,
    body: TypedBody<UserChanges>,
) -> Result<Json<User>, ApiError> {
    let (role, password) = body.known_fields_only().checked(|body, problems| {
        let role = body.role.map(|given| problems.take(role(&given)));
        Some((role.map_or(Some(None), |role| role.map(Some))?, body.password))
    })?;
    let password = match password {
        Some(password) => Some(app.passwords.hash(password).await?),
        None => None,
    };
    let changed = app.accounts.change_user(&caller, &id, role, password.as_ref()).await;
    changed.map(shown).map(Json).map_err(refused)
}
