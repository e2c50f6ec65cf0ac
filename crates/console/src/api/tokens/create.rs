//! `POST /api/tokens`

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use memcloud_api::console::{CreatedToken, NewToken};
use memcloud_api::{Place, Problem, Problems};
use memcloud_control::Caller;
use memcloud_control::access::{Identity, TokenKind};
use memcloud_domain::{Right, Rights, Timestamp};
use memcloud_http::{Allowed, ApiError, Read, TypedBody};
use secrecy::ExposeSecret;

use super::shown;
use crate::App;
use crate::api::params::{check_name, later};
use crate::error::refused;

/// The longest name of a token, in characters.
const MAX_NAME: usize = 200;

/// Makes an API token of the caller. It is shown this once.
///
/// It permits no more than its maker may do now. One that is made with an API token ends with that one at the latest.
#[utoipa::path(
    post,
    path = "/api/tokens",
    operation_id = "create_token",
    tag = "access",
    request_body = NewToken,
    responses((status = 200, description = "The token.", body = CreatedToken)),
)]
pub(crate) async fn create(
    _: Allowed<Read>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(identity): Extension<Identity>,
    body: TypedBody<NewToken>,
) -> Result<Json<CreatedToken>, ApiError> {
    let now = app.clock.now();
    let new = body.known_fields_only().checked(|body, problems| {
        problems.take(check_name(&body.name, "name", MAX_NAME));
        let scopes = scopes(&body.scopes, problems);
        let end = problems.take(end(body.expires_at.as_deref(), &identity, now));
        Some((body.name, scopes, end?))
    })?;
    let (name, scopes, expires_at) = new;
    if let Some(scope) = scopes.iter().find(|scope| !identity.rights.contains(*scope)) {
        let detail = format!("the caller lacks the right '{scope}', so it cannot make a token that has it");
        return Err(ApiError::new(StatusCode::FORBIDDEN, detail, "forbidden_scope"));
    }
    let created = app.accounts.create_token(&caller, &identity.user.id, &name, scopes, expires_at).await;
    let (secret, token) = created.map_err(refused)?;
    Ok(Json(CreatedToken { token: secret.expose_secret().to_owned(), about: shown(token) }))
}

fn scopes(given: &[String], problems: &mut Problems) -> Rights {
    let place = Place::body().at("scopes");
    if given.is_empty() {
        problems.push(Problem::new(place.clone(), "too_short", "there is no scope", "no_scopes"));
    }
    let scope = |(index, name): (usize, &String)| {
        let unknown = |_| {
            Problem::new(place.clone().item(index), "value_error", "this is not a scope", "unknown_scope")
        };
        name.parse::<Right>().map_err(unknown)
    };
    given.iter().enumerate().filter_map(|given| problems.take(scope(given))).collect()
}

/// When the new token ends.
fn end(given: Option<&str>, maker: &Identity, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let place = || Place::body().at("expires_at");
    let latest = maker.token.expires_at.filter(|_| maker.token.kind == TokenKind::Api);
    let Some(end) = given.map(|given| later(given, place(), now)).transpose()? else { return Ok(latest) };
    match latest {
        Some(latest) if end > latest => {
            let msg = format!("the token that makes it ends at {latest}");
            Err(Problem::new(place(), "value_error", msg, "outlives_token"))
        }
        _ => Ok(Some(end)),
    }
}
