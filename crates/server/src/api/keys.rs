//! `POST` and `GET /v1/keys`, and `DELETE /v1/keys/{id}`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use memcloud_api::memmachine_v1;
use memcloud_api::native::{CreatedKey, Key, Keys, NewKey as ApiNewKey};
use memcloud_api::{Place, Problem, Problems};
use memcloud_domain::{ApiKey, Caller, Right, Rights, Space, Timestamp};
use memcloud_http::{Admin, Allowed, ApiError, NoBody, TypedBody};
use memcloud_ports::Revocation;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::App;
use crate::api::responses::NotFound;
use crate::keys::NewKey;
use crate::params::{PathId, QueryParams};

/// The longest name of a key, in characters.
const MAX_NAME: usize = 200;

/// Makes a key.
///
/// The first key of an instance without any must have the right `admin` for all groups, and from then on every request
/// needs a key. Unknown fields are refused. A caller that is limited to some groups makes keys for those only.
#[utoipa::path(
    post,
    path = "/v1/keys",
    operation_id = "create_key",
    tag = "keys",
    request_body = ApiNewKey,
    responses(
        (status = 200, description = "The key.", body = CreatedKey),
        (status = 409, description = "There is no key yet that can manage keys, and this one cannot.", body = memcloud_api::Error),
    ),
)]
pub(crate) async fn create(
    allowed: Allowed<Admin>,
    State(app): State<App>,
    body: TypedBody<ApiNewKey>,
) -> Result<Json<CreatedKey>, ApiError> {
    let now = app.keys.now();
    let new = body.known_fields_only().checked(|body, problems| Some(new_key(body, now, problems)))?;
    check_spaces(&allowed, new.spaces.as_deref())?;
    let Some((key, secret)) = app.keys.create(new).await? else {
        let detail = "the first key of an instance must be able to manage the others";
        return Err(ApiError::new(StatusCode::CONFLICT, detail, "first_key_needs_admin"));
    };
    tracing::info!(key = %key.id, rights = %key.rights, by = %allowed.id(), "key created");
    let about = shown(&key, now);
    Ok(Json(CreatedKey { key: secret.expose_secret().to_owned(), about }))
}

/// Lists the keys that the instance made, without their secrets. A caller that is limited to some groups sees the keys
/// that open no others.
#[utoipa::path(
    get,
    path = "/v1/keys",
    operation_id = "list_keys",
    tag = "keys",
    responses((status = 200, description = "The keys.", body = Keys)),
)]
pub(crate) async fn list(allowed: Allowed<Admin>, State(app): State<App>) -> Result<Json<Keys>, ApiError> {
    let (keys, now) = (app.keys.list().await?, app.keys.now());
    let keys = keys.iter().filter(|key| manages(&allowed, key)).map(|key| shown(key, now)).collect();
    Ok(Json(Keys { keys }))
}

/// Revokes a key for good: at once on this server, within a few seconds on others. Revoking it again changes nothing.
#[utoipa::path(
    delete,
    path = "/v1/keys/{id}",
    operation_id = "revoke_key",
    tag = "keys",
    params(("id" = String, Path, description = "The id of the key.")),
    responses(
        (status = 200, description = "The key is revoked.", body = Key),
        NotFound,
        (status = 409, description = "The key is the last one that can manage keys, and others are live.", body = memcloud_api::Error),
    ),
)]
pub(crate) async fn revoke(
    allowed: Allowed<Admin>,
    State(app): State<App>,
    id: PathId,
    query: QueryParams,
    _: NoBody,
) -> Result<Json<Key>, ApiError> {
    let id = Problems::none_in(|problems| {
        query.only(&[], problems);
        id.text(problems)
    })?;
    let keys = app.keys.list().await?;
    let known = keys.iter().find(|key| key.id.as_str() == id).filter(|key| manages(&allowed, key));
    let Some(known) = known else { return Err(no_key()) };
    match app.keys.revoke(&known.id).await? {
        Revocation::Revoked(key) => {
            tracing::info!(key = %key.id, by = %allowed.id(), "key revoked");
            Ok(Json(shown(&key, app.keys.now())))
        }
        Revocation::Unknown => Err(no_key()),
        Revocation::LastAdmin => {
            let detail = "this is the last key that can manage keys, and other keys are live";
            Err(ApiError::new(StatusCode::CONFLICT, detail, "last_admin_key"))
        }
    }
}

fn no_key() -> ApiError {
    ApiError::not_found("no such key").with_hint("GET /v1/keys lists the keys")
}

/// Whether the key opens nothing but what is open to the caller.
fn manages(caller: &Caller, key: &ApiKey) -> bool {
    match (caller.spaces(), &key.spaces) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(_), Some(spaces)) => spaces.iter().all(|space| caller.sees(space)),
    }
}

fn new_key(body: ApiNewKey, now: Timestamp, problems: &mut Problems) -> NewKey {
    problems.take(check_name(&body.name));
    let rights = rights(&body.rights, problems);
    let spaces = body.spaces.map(|groups| spaces(groups, problems));
    let expires_at = body.expires_at.as_deref().and_then(|end| problems.take(expires_at(end, now)));
    NewKey { name: body.name, rights, spaces, expires_at }
}

fn check_name(name: &str) -> Result<(), Problem> {
    let (msg, code) = if name.trim().is_empty() {
        ("the name is empty".to_owned(), "unnamed_key")
    } else if name.chars().nth(MAX_NAME).is_some() {
        (format!("the name has more than {MAX_NAME} characters"), "name_too_long")
    } else if name.chars().any(char::is_control) {
        ("the name has a control character".to_owned(), "control_character")
    } else {
        return Ok(());
    };
    Err(Problem::new(Place::body().at("name"), "value_error", msg, code))
}

fn rights(given: &[Value], problems: &mut Problems) -> Rights {
    let place = Place::body().at("rights");
    if given.is_empty() {
        problems.push(Problem::new(place.clone(), "too_short", "there is no right", "no_rights"));
    }
    let right = |(index, value): (usize, &Value)| {
        let right = value.as_str().and_then(|name| name.parse::<Right>().ok());
        let place = || place.clone().item(index);
        right.ok_or_else(|| Problem::new(place(), "value_error", "this is not a right", "unknown_right"))
    };
    given.iter().enumerate().filter_map(|given| problems.take(right(given))).collect()
}

/// The spaces of the groups that are named.
fn spaces(groups: Vec<String>, problems: &mut Problems) -> Vec<Space> {
    let place = Place::body().at("spaces");
    let no_group = |place| Problem::new(place, "too_short", "there is no group", "no_spaces");
    if groups.is_empty() {
        problems.push(no_group(place.clone()));
    }
    let empty = groups.iter().enumerate().filter(|(_, group)| group.is_empty());
    problems.extend(empty.map(|(index, _)| no_group(place.clone().item(index))));
    groups.into_iter().map(memmachine_v1::space).collect()
}

/// Refuses a key that opens more than is open to the caller.
fn check_spaces(caller: &Caller, spaces: Option<&[Space]>) -> Result<(), ApiError> {
    match spaces {
        Some(spaces) => Ok(spaces.iter().try_for_each(|space| caller.enter(space.clone()).map(drop))?),
        None if caller.spaces().is_none() => Ok(()),
        None => {
            let detail = "this key does not open all groups, so it cannot make one that does";
            let hint = "name groups in 'spaces' that this key opens";
            Err(ApiError::new(StatusCode::FORBIDDEN, detail, "forbidden_space").with_hint(hint))
        }
    }
}

fn expires_at(given: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let place = || Place::body().at("expires_at");
    let end: Timestamp = given.parse().map_err(|violation| Problem::of(&violation, place()))?;
    if end <= now {
        return Err(Problem::new(place(), "value_error", "this time is in the past", "expiry_in_the_past"));
    }
    Ok(end)
}

fn shown(key: &ApiKey, now: Timestamp) -> Key {
    let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let groups = |spaces: &Vec<Space>| spaces.iter().map(|space| space.project.clone()).collect();
    Key {
        id: key.id.to_string(),
        name: key.name.clone(),
        rights: key.rights.iter().map(|right| right.as_str().into()).collect(),
        spaces: key.spaces.as_ref().map(groups),
        created_at: key.created_at.to_string(),
        last_used_at: text(key.last_used_at),
        expires_at: text(key.expires_at),
        revoked_at: text(key.revoked_at),
        state: key.state(now).to_string(),
    }
}
