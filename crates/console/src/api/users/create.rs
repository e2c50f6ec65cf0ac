//! `POST /api/users`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::console::{NewUser, User};
use memcloud_control::Caller;
use memcloud_http::{Admin, Allowed, ApiError, TypedBody};

use super::{MAX_NAME, role, shown};
use crate::App;
use crate::api::params::check_name;
use crate::error::refused;

/// Makes a user of the organization. Without a password the user signs in by a link.
#[utoipa::path(
    post,
    path = "/api/users",
    operation_id = "create_user",
    tag = "access",
    request_body = NewUser,
    responses(
        (status = 200, description = "The user.", body = User),
        (status = 409, description = "Another user of the console has the name.", body = memcloud_api::Error),
    ),
)]
pub(crate) async fn create(
    _: Allowed<Admin>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: TypedBody<NewUser>,
) -> Result<Json<User>, ApiError> {
    let (name, role, password) = body.known_fields_only().checked(|body, problems| {
        problems.take(check_name(&body.name, "name", MAX_NAME));
        let role = problems.take(role(&body.role));
        Some((body.name, role?, body.password))
    })?;
    let password = match password {
        Some(password) => Some(app.passwords.hash(password).await?),
        None => None,
    };
    let created = app.accounts.create_user(&caller, &name, role, password.as_ref()).await;
    created.map(shown).map(Json).map_err(refused)
}
