//! `POST /api/password`

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use memcloud_api::console::{NewPassword, User};
use memcloud_control::Caller;
use memcloud_control::access::Identity;
use memcloud_http::{Allowed, ApiError, Read, TypedBody};

use super::{From, refused_password};
use crate::App;
use crate::api::users::shown;
use crate::error::refused;

/// Changes the caller's own password, which ends the caller's other sign-ins. Wrong passwords count as they do at a sign-in.
#[utoipa::path(
    post,
    path = "/api/password",
    operation_id = "change_password",
    tag = "access",
    request_body = NewPassword,
    responses(
        (status = 200, description = "The user.", body = User),
        (status = 429, description = "There were too many wrong passwords; `Retry-After` says when to try again.", body = memcloud_api::Error),
    ),
)]
pub(crate) async fn change(
    _: Allowed<Read>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(Identity { user, .. }): Extension<Identity>,
    From(address): From,
    body: TypedBody<NewPassword>,
) -> Result<Json<User>, ApiError> {
    let NewPassword { current, password } = body.known_fields_only().checked(|body, _| Some(body))?;
    let proven = app.sign_in.prove(&user.name, current.into(), address).await;
    proven.map_err(|error| refused_password(&app, error, address, StatusCode::FORBIDDEN))?;
    let password = app.passwords.hash(password).await?;
    let changed = app.accounts.change_user(&caller, &user.id, None, Some(&password)).await;
    changed.map(shown).map(Json).map_err(refused)
}
