//! `POST /api/sign-in`

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::State;
use axum::http::StatusCode;
use memcloud_api::console::{PasswordSignIn, SignedIn};
use memcloud_control::access::SignInError;
use memcloud_http::{ApiError, TypedBody};

use super::{From, Session, session};
use crate::App;
use crate::error::refused;

/// Signs in with a name and a password. The answer also sets the cookie of the session.
///
/// After five wrong passwords in a row the next attempt has to wait, each time twice as long.
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
    // Requests without an address count as those of one.
    let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let signed_in = app.sign_in.sign_in(&name, password.into(), address).await;
    signed_in.map(|signed_in| session(&app, signed_in)).map_err(|error| {
        let message = error.to_string();
        match error {
            SignInError::Wrong => ApiError::new(StatusCode::UNAUTHORIZED, message, "wrong_password"),
            SignInError::TooMany(wait) => {
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, message, "too_many_passwords").retry_after(wait)
            }
            SignInError::Failed(error) => refused(error),
        }
    })
}
