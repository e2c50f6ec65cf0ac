//! Who may call: the holder of a token, or a browser that signed in.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use memcloud_control::access::{Identity, Refused};
use memcloud_domain::{Caller, KeyId, Right};
use memcloud_http::{ApiError, OnMissingRight, Peer, bearer, has_room, note_caller};
use secrecy::{ExposeSecret, SecretString};

use crate::App;
use crate::error::refused;

/// The cookie of a browser that signed in. Its value is the token.
pub(crate) const SESSION: &str = "memcloud_session";

/// The token that a request shows.
#[derive(Clone)]
pub(crate) struct Shown(SecretString);

/// Passes a request on with its caller: what it may do for [`Allowed`](memcloud_http::Allowed), and who it is for the
/// control plane.
pub(crate) async fn users(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let address = request.extensions().get().map(|Peer(address)| address.ip());
    let Some(shown) = Shown::by(request.headers()) else { return no_token().into_response() };
    match shown.identify(&app).await {
        Ok(Ok(identity)) if !has_room(&request, true) => {
            drop(identity);
            ApiError::no_room().into_response()
        }
        Ok(Ok(identity)) => {
            // The ids of tokens are ids of keys: twelve hexadecimal digits.
            let Ok(id) = identity.token.id.as_str().parse::<KeyId>() else {
                return ApiError::defect().into_response();
            };
            note_caller(&id);
            let extensions = request.extensions_mut();
            extensions.insert(Caller::with_rights(id, identity.rights));
            extensions.insert(OnMissingRight(no_scope));
            extensions.insert(identity.caller(address));
            extensions.insert(identity);
            extensions.insert(shown);
            next.run(request).await
        }
        Ok(Err(reason)) => {
            app.note_refused(reason, address);
            of_refused(reason).into_response()
        }
        Err(error) => error.into_response(),
    }
}

impl Shown {
    /// The token of these headers. A bearer token counts more than a cookie.
    fn by(headers: &HeaderMap) -> Option<Self> {
        let is_bearer = headers.contains_key(header::AUTHORIZATION);
        let shown = if is_bearer { bearer(headers) } else { session_cookie(headers) };
        shown.filter(|token| !token.is_empty()).map(|token| Self(token.into()))
    }

    /// Who shows it.
    pub(crate) async fn identify(&self, app: &App) -> Result<Result<Identity, Refused>, ApiError> {
        app.accounts.identify(self.0.expose_secret()).await.map_err(refused)
    }
}

/// The token in the cookie of a browser that signed in.
pub(crate) fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies =
        lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    cookies.find(|(name, _)| *name == SESSION).map(|(_, token)| token)
}

/// The token lacks a scope, or its user's role the right.
pub(crate) fn no_scope(missing: Right) -> ApiError {
    let detail = format!("this token does not permit '{missing}'");
    ApiError::new(StatusCode::FORBIDDEN, detail, "forbidden_right")
}

fn no_token() -> ApiError {
    ApiError::unauthorized("this needs a token", "unauthorized")
}

fn of_refused(reason: Refused) -> ApiError {
    match reason {
        Refused::Unknown => ApiError::unauthorized("this token is not known", "unauthorized"),
        Refused::Expired => ApiError::unauthorized("this token has expired", "token_expired"),
        Refused::Revoked => ApiError::unauthorized("this token was revoked", "token_revoked"),
    }
}
