//! `POST /api/sign-in`

use axum::extract::State;
use axum::http::StatusCode;
use memcloud_api::console::{PasswordSignIn, SignedIn};
use memcloud_http::{ApiError, TypedBody};

use super::{From, Session, session};
use crate::App;
use crate::error::refused;

/// Signs in with a name and a password. The answer also sets the cookie of the session.
#[utoipa::path(
    post,
    path = "/api/sign-in",
    operation_id = "sign_in",
    tag = "access",
    request_body = PasswordSignIn,
    responses(
        (status = 200, description = "Who signed in, and the session's token.", body = SignedIn),
        (status = 401, description = "The name or the password is wrong.", body = memcloud_api::Error),
    ),
    security(())
)]
pub(crate) async fn sign_in(
    State(app): State<App>,
    From(address): From,
    body: TypedBody<PasswordSignIn>,
) -> Result<Session, ApiError> {
    let PasswordSignIn { name, password } = body.known_fields_only().checked(|body, _| Some(body))?;
    let (user, known) = app.accounts.user_named(&name).await.map_err(refused)?.unzip();
    let matches = app.passwords.matches(known.flatten(), password).await?;
    let Some(user) = user.filter(|_| matches) else {
        let detail = "the name or the password is wrong";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, detail, "wrong_password"));
    };
    let signed_in = app.accounts.open_session(user, address).await.map_err(refused)?;
    Ok(session(&app, signed_in))
}
