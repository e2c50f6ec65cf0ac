//! `POST /api/sign-in-links`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::console::{NewSignInLink, SignInLink};
use memcloud_control::access::Identity;
use memcloud_control::{Caller, Error, UserId};
use memcloud_http::{Admin, Allowed, ApiError, TypedBody};

use super::link_of;
use crate::App;
use crate::api::responses::NotFound;
use crate::api::users;
use crate::error::refused;

/// Makes a link that signs a user in once, within fifteen minutes. It replaces the user's link before it.
#[utoipa::path(
    post,
    path = "/api/sign-in-links",
    operation_id = "create_sign_in_link",
    tag = "access",
    request_body = NewSignInLink,
    responses((status = 200, description = "The link.", body = SignInLink), NotFound),
)]
pub(crate) async fn create(
    _: Allowed<Admin>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(identity): Extension<Identity>,
    body: TypedBody<NewSignInLink>,
) -> Result<Json<SignInLink>, ApiError> {
    let user = body.known_fields_only().checked(|body, _| Some(body.user))?;
    let user = match user {
        Some(id) => {
            let id: UserId = id.parse().map_err(|_| refused(Error::NotFound("user")))?;
            users::user(&app, &caller, &id).await?
        }
        None => identity.user,
    };
    app.accounts.record(&caller, "create sign-in link", &user.name).await.map_err(refused)?;
    link_of(&app, &user).await.map(Json)
}
