//! `POST` and `GET /v1/keys`, and `DELETE /v1/keys/{id}`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use memcloud_domain::{ApiKey, Caller, KeyState, Right, Rights, Space, Timestamp};
use memcloud_ports::Revocation;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::App;
use crate::allowed::{Admin, Allowed};
use crate::body::JsonBody;
use crate::failure::{Failure, FailureBody};
use crate::fields::{Fields, PathId, Place};
use crate::keys::NewKey;

/// The longest name of a key, in characters.
const MAX_NAME: usize = 200;

/// A key to make.
#[derive(ToSchema)]
#[schema(as = NewKey)]
#[expect(dead_code, reason = "describes what `new_key` reads")]
pub(crate) struct NewKeyBody {
    /// What the key is for; up to 200 characters.
    name: String,
    /// What it permits: `read` to search, list and read, `write` to store and delete, `admin` to manage keys and spaces.
    /// No right includes another.
    rights: Vec<String>,
    /// The groups it opens. Default: all groups, also those that come later.
    spaces: Option<Vec<String>>,
    /// When it ends. RFC 3339; UTC without a zone. Default: never.
    expires_at: Option<String>,
}

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyBody {
    /// Names the key in lists, in logs and when it is revoked.
    id: String,
    /// What the key is for.
    name: String,
    /// What it permits: `read`, `write`, `admin`.
    rights: Vec<&'static str>,
    /// The groups it opens; null for all.
    spaces: Option<Vec<String>>,
    /// When it was made.
    created_at: String,
    /// When it was last used, to within a few minutes; null if never.
    last_used_at: Option<String>,
    /// When it ends; null for never.
    expires_at: Option<String>,
    /// When it was revoked; null if it was not.
    revoked_at: Option<String>,
    /// `live`, `expired` or `revoked`.
    state: &'static str,
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedKey)]
pub(crate) struct CreatedKeyBody {
    /// The key itself. It is shown this once; the instance keeps only its hash.
    key: String,
    #[serde(flatten)]
    about: KeyBody,
}

/// Keys in the order in which they were made.
#[derive(Serialize, ToSchema)]
#[schema(as = Keys)]
pub(crate) struct KeysBody {
    /// The keys. Those that were revoked or have expired are listed for 90 days more.
    keys: Vec<KeyBody>,
}

/// Makes a key.
///
/// The first key of an instance without any must have the right `admin` for all groups, and from then on every request
/// needs a key. A caller that is limited to some groups makes keys for those only.
#[utoipa::path(
    post,
    path = "/v1/keys",
    operation_id = "create_key",
    tag = "keys",
    request_body = NewKeyBody,
    responses(
        (status = 200, description = "The key.", body = CreatedKeyBody),
        (status = 403, description = "The caller lacks the right, or a group is not open to it.", body = FailureBody),
        (status = 409, description = "There is no key yet that can manage keys, and this one cannot.", body = FailureBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(crate) async fn create(
    allowed: Allowed<Admin>,
    State(app): State<App>,
    JsonBody(body): JsonBody,
) -> Result<Json<CreatedKeyBody>, Failure> {
    let now = app.keys.now();
    let new = new_key(body, &allowed, now)?;
    let Some((key, secret)) = app.keys.create(new).await? else {
        let detail = "the first key of an instance must be able to manage the others";
        let hint = "make a key with the right 'admin' for all groups first";
        return Err(Failure::text(StatusCode::CONFLICT, detail, "first_key_needs_admin", hint));
    };
    tracing::info!(key = %key.id, rights = %key.rights, by = %allowed.id(), "key created");
    let about = KeyBody::new(&key, now);
    Ok(Json(CreatedKeyBody { key: secret.expose_secret().to_owned(), about }))
}

/// Lists the keys that the instance made, without their secrets. A caller that is limited to some groups sees the keys
/// that open no others.
#[utoipa::path(
    get,
    path = "/v1/keys",
    operation_id = "list_keys",
    tag = "keys",
    responses((status = 200, description = "The keys.", body = KeysBody)),
)]
pub(crate) async fn list(allowed: Allowed<Admin>, State(app): State<App>) -> Result<Json<KeysBody>, Failure> {
    let (keys, now) = (app.keys.list().await?, app.keys.now());
    let keys = keys.iter().filter(|key| manages(&allowed, key)).map(|key| KeyBody::new(key, now)).collect();
    Ok(Json(KeysBody { keys }))
}

/// Revokes a key for good: at once on this server, within a few seconds on others. Revoking it again changes nothing.
#[utoipa::path(
    delete,
    path = "/v1/keys/{id}",
    operation_id = "revoke_key",
    tag = "keys",
    params(("id" = String, Path, description = "The id of the key.")),
    responses(
        (status = 200, description = "It is revoked.", body = KeyBody),
        (status = 404, description = "There is no such key.", body = FailureBody),
        (status = 409, description = "It is the last one that can manage keys, and others are live.", body = FailureBody),
    ),
)]
pub(crate) async fn revoke(
    allowed: Allowed<Admin>,
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<Json<KeyBody>, Failure> {
    let keys = app.keys.list().await?;
    let known = keys.iter().find(|key| key.id.as_str() == id).filter(|key| manages(&allowed, key));
    let Some(known) = known else { return Err(no_key()) };
    match app.keys.revoke(&known.id).await? {
        Revocation::Revoked(key) => {
            tracing::info!(key = %key.id, by = %allowed.id(), "key revoked");
            Ok(Json(KeyBody::new(&key, app.keys.now())))
        }
        Revocation::Unknown => Err(no_key()),
        Revocation::LastAdmin => {
            let detail = "this is the last key that can manage keys, and other keys are live";
            let hint =
                "make another key with the right 'admin' for all groups, or revoke the other keys first";
            Err(Failure::text(StatusCode::CONFLICT, detail, "last_admin_key", hint))
        }
    }
}

fn no_key() -> Failure {
    let hint = "GET /v1/keys lists the keys";
    Failure::text(StatusCode::NOT_FOUND, "there is no such key", "not_found", hint)
}

/// Whether the key opens nothing but what is open to the caller.
fn manages(caller: &Caller, key: &ApiKey) -> bool {
    match (caller.spaces(), &key.spaces) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(_), Some(spaces)) => spaces.iter().all(|space| caller.sees(space)),
    }
}

fn new_key(mut body: Fields, caller: &Caller, now: Timestamp) -> Result<NewKey, Failure> {
    Ok(NewKey {
        name: name(&mut body)?,
        rights: rights(&mut body)?,
        spaces: spaces(&mut body, caller)?,
        expires_at: expires_at(&mut body, now)?,
    })
}

fn name(body: &mut Fields) -> Result<String, Failure> {
    let name = body.required_text("name")?;
    let wrong = |msg: String, code| {
        let hint = "say in a few words what the key is for";
        Err(body.place("name").wrong("value_error", msg, &Value::from(name.as_str()), code, hint))
    };
    if name.trim().is_empty() {
        wrong("the name is empty".into(), "empty_name")
    } else if name.chars().nth(MAX_NAME).is_some() {
        wrong(format!("the name has more than {MAX_NAME} characters"), "name_too_long")
    } else if name.chars().any(char::is_control) {
        wrong("the name has a control character".into(), "control_character")
    } else {
        Ok(name)
    }
}

fn rights(body: &mut Fields) -> Result<Rights, Failure> {
    let place = body.place("rights");
    let given = body.required_list("rights")?;
    let hint = "name 'read', 'write' or 'admin', or several of them";
    if given.is_empty() {
        return Err(place.wrong("too_short", "there is no right", &Value::Null, "no_rights", hint));
    }
    let right = |(index, value): (usize, Value)| {
        let right = value.as_str().and_then(|name| name.parse::<Right>().ok());
        right.ok_or_else(|| {
            place.item(index).wrong("value_error", "this is not a right", &value, "unknown_right", hint)
        })
    };
    given.into_iter().enumerate().map(right).collect()
}

/// The spaces of the groups that are named, all of which must be open to the caller.
fn spaces(body: &mut Fields, caller: &Caller) -> Result<Option<Vec<Space>>, Failure> {
    let place = body.place("spaces");
    if !body.has_value("spaces") {
        if caller.spaces().is_none() {
            return Ok(None);
        }
        let detail = "this key does not open all groups, so it cannot make one that does";
        let hint = "name groups in 'spaces' that this key opens";
        return Err(Failure::text(StatusCode::FORBIDDEN, detail, "forbidden_space", hint));
    }
    let groups = body.texts("spaces")?;
    if groups.is_empty() || groups.iter().any(String::is_empty) {
        let hint = "name at least one group, or leave 'spaces' out for all";
        return Err(place.wrong("too_short", "there is no group", &Value::Null, "no_spaces", hint));
    }
    let spaces = groups.into_iter().map(|group| caller.enter(memcloud_api::memmachine_v1::space(group)));
    Ok(Some(spaces.collect::<Result<_, _>>()?))
}

fn expires_at(body: &mut Fields, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = body.optional_text("expires_at")? else { return Ok(None) };
    let place: Place = body.place("expires_at");
    let given = Value::from(text.as_str());
    let end: Timestamp = text.parse().map_err(|error| place.clone().refuse(&error, &given))?;
    if end <= now {
        let hint = "give a time to come, such as '2030-01-31', or leave it out for a key without an end";
        return Err(place.wrong("value_error", "this time is over", &given, "expiry_in_the_past", hint));
    }
    Ok(Some(end))
}

impl KeyBody {
    fn new(key: &ApiKey, now: Timestamp) -> Self {
        let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let groups = |spaces: &Vec<Space>| spaces.iter().map(|space| space.project.clone()).collect();
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            rights: key.rights.iter().map(Right::as_str).collect(),
            spaces: key.spaces.as_ref().map(groups),
            created_at: key.created_at.to_string(),
            last_used_at: text(key.last_used_at),
            expires_at: text(key.expires_at),
            revoked_at: text(key.revoked_at),
            state: match key.state(now) {
                KeyState::Live => "live",
                KeyState::Expired => "expired",
                KeyState::Revoked => "revoked",
            },
        }
    }
}
