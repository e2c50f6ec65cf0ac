//! `POST /api/sign-in`

use axum::extract::State;
use axum::http::StatusCode;
use memcloud_api::console::{PasswordSignIn, SignedIn};
use memcloud_http::{ApiError, TypedBody};

use super::{From, Session, refused_password, session};
use crate::App;

/// Signs in with a name and a password. The answer also sets the cookie of the session.
///
/// After five wrong passwords in a row for a name, or a hundred for all, the next attempt from the address has to wait, each time
/// twice as long.
#[utoipa::path(
    post,
    path = "/api/sign-in",
    operation_id = "sign_in",
    tag = "access",
    request_body = PasswordSignIn,
    responses(
        (status = 200, description = "Who signed in, and the session's token.", body = SignedIn),
        (status = 401, description = "The name or the password is wrong.", body = memcloud_api::Error),
        (status = 429, description = "There were too many wrong passwords; `Retry-After` says when to try again.", body = memcloud_api::Error),
    ),
    security(())
)]
pub(crate) async fn sign_in(
    State(app): State<App>,
    From(address): From,
    body: TypedBody<PasswordSignIn>,
) -> Result<Session, ApiError> {
    let PasswordSignIn { name, password } = body.known_fields_only().checked(|body, _| Some(body))?;
    let signed_in = app.sign_in.sign_in(&name, password.into(), address).await;
    let refused = |error| refused_password(&app, error, address, StatusCode::UNAUTHORIZED);
    let signed_in = signed_in.map_err(refused)?;
    Ok(session(&app, signed_in))
}
