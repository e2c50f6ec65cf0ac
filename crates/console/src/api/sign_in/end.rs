//! `DELETE /api/session`

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::{Extension, Json};
use memcloud_api::console::Token;
use memcloud_control::Caller;
use memcloud_control::access::{Identity, TokenKind};
use memcloud_http::{Allowed, ApiError, NoBody, Read};

use super::cookie;
use crate::App;
use crate::api::params::NoQuery;
use crate::api::tokens::shown;
use crate::error::refused;

/// Signs out: ends the session whose token the request shows, and takes back its cookie.
#[utoipa::path(
    delete,
    path = "/api/session",
    operation_id = "sign_out",
    tag = "access",
    responses(
        (status = 200, description = "The session's token, which opens nothing any more.", body = Token),
        (status = 409, description = "The request shows an API token, which is revoked by its id.", body = memcloud_api::Error),
        (status = 422, description = "The request has a body or parameters.", body = memcloud_api::Error),
    ),
)]
pub(crate) async fn end(
    _: Allowed<Read>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(Identity { mut token, .. }): Extension<Identity>,
    _: NoQuery,
    _: NoBody,
) -> Result<([(HeaderName, String); 1], Json<Token>), ApiError> {
    if token.kind != TokenKind::Session {
        let detail = "the request shows an API token and no session's";
        return Err(ApiError::new(StatusCode::CONFLICT, detail, "not_a_session"));
    }
    app.accounts.revoke_token(&caller, &token.id).await.map_err(refused)?;
    token.revoked_at = Some(app.clock.now());
    Ok(([(header::SET_COOKIE, cookie(&app, "", 0))], Json(shown(token))))
}
