//! `GET /sign-in/{secret}`

use axum::extract::State;
use axum::http::StatusCode;
use memcloud_api::console::SignedIn;
use memcloud_http::ApiError;

use super::{From, Session, session};
use crate::App;
use crate::api::params::Named;
use crate::error::refused;

/// Signs in by a link, which is used up. The answer also sets the cookie of the session.
#[utoipa::path(
    get,
    path = "/sign-in/{secret}",
    operation_id = "follow_sign_in_link",
    tag = "access",
    params(("secret" = String, Path, description = "The secret of the link.")),
    responses(
        (status = 200, description = "Who signed in, and the session's token.", body = SignedIn),
        (status = 401, description = "The link is not known, was used, or its time is over.", body = memcloud_api::Error),
        (status = 404, description = "The path has no secret.", body = memcloud_api::Error),
    ),
    security(())
)]
pub(crate) async fn follow(
    State(app): State<App>,
    From(address): From,
    Named(secret): Named<String>,
) -> Result<Session, ApiError> {
    let signed_in = app.accounts.sign_in_by_link(&secret, Some(address)).await.map_err(refused)?;
    let signed_in = signed_in.ok_or_else(|| {
        ApiError::new(StatusCode::UNAUTHORIZED, "this link was used, or its time is over", "unknown_link")
    })?;
    Ok(session(&app, signed_in))
}
