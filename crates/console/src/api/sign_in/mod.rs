//! Signing in and out.

pub(crate) mod create_link;
pub(crate) mod end;
pub(crate) mod link;
pub(crate) mod password;

use std::net::IpAddr;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use memcloud_api::console::SignedIn;
use memcloud_control::access::{Token, User};
use memcloud_http::Peer;
use secrecy::{ExposeSecret, SecretString};

use super::users;
use crate::App;
use crate::guard::SESSION;

/// The address that a request came from, where the listener knows it.
pub(crate) struct From(Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for From {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get().map(|Peer(address)| address.ip())))
    }
}

/// The answer to a sign-in: the session's token, for programs in the body, for browsers as a cookie.
pub(crate) type Session = ([(HeaderName, String); 1], Json<SignedIn>);

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
