//! Signing in and out.

pub(crate) mod change_password;
pub(crate) mod create_link;
pub(crate) mod end;
pub(crate) mod link;
pub(crate) mod password;

use std::net::{IpAddr, Ipv4Addr};

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use memcloud_api::console::{SignInLink, SignedIn};
use memcloud_control::access::{SignInError, Token, User};
use memcloud_http::{ApiError, Peer};
use secrecy::{ExposeSecret, SecretString};

use super::users;
use crate::App;
use crate::error::refused;
use crate::guard::SESSION;

/// The address that a request came from. Requests without one count as those of one.
pub(crate) struct From(IpAddr);

impl<S: Sync> FromRequestParts<S> for From {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get().map(|Peer(address)| address.ip());
        Ok(Self(peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

/// The answer to a sign-in: the session's token, for programs in the body, for browsers as a cookie.
pub(crate) type Session = ([(HeaderName, String); 1], Json<SignedIn>);

/// Why a password from this address was not accepted.
fn refused_password(app: &App, error: SignInError, address: IpAddr, status: StatusCode) -> ApiError {
    let message = error.to_string();
    match error {
        SignInError::Wrong => ApiError::new(status, message, "wrong_password"),
        SignInError::TooMany(wait) => {
            app.note_delayed(address);
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, message, "too_many_passwords").retry_after(wait)
        }
        SignInError::Failed(error) => refused(error),
    }
}

/// A new link that signs a user in.
pub(super) async fn link_of(app: &App, user: &User) -> Result<SignInLink, ApiError> {
    let (secret, expires_at) = app.accounts.create_link(&user.id).await.map_err(refused)?;
    let console = app.url.to_string();
    let sign_in = format!("{}/sign-in/{}", console.trim_end_matches('/'), secret.expose_secret());
    Ok(SignInLink { sign_in, expires_at: expires_at.to_string() })
}

fn session(app: &App, (secret, token, user): (SecretString, Token, User)) -> Session {
    let end = token.expires_at;
    let seconds = end.map_or(0, |end| (end.as_micros() - app.clock.now().as_micros()) / 1_000_000);
    let signed_in = SignedIn {
        token: secret.expose_secret().to_owned(),
        expires_at: end.map(|end| end.to_string()).unwrap_or_default(),
        user: users::shown(user),
    };
    ([(header::SET_COOKIE, cookie(app, &signed_in.token, seconds))], Json(signed_in))
}

/// A cookie that no script reads and no other site's page sends.
fn cookie(app: &App, value: &str, seconds: i64) -> String {
    let secure = if app.url.scheme_str() == Some("https") { "; Secure" } else { "" };
    format!("{SESSION}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}
