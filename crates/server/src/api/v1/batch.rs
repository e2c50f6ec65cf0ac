//! `POST /v1/memories/batch`, an addition of ours.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use memcloud_api::PrefixedId;
use memcloud_domain::Purpose;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::V1;
use super::episode::{self, NewEpisodeBody};
use super::ingest::{self, Incoming, StoreHeaders, answer, keep};
use super::session::{NamedSession, SessionBody, SessionHeaders, is_named};
use crate::allowed::{Allowed, Write};
use crate::body::JsonBody;
use crate::failure::{Failure, FailureBody};
use crate::fields::{Fields, Place};

/// The most episodes of one batch.
const MOST: usize = 1_000;

/// Messages to store together.
#[derive(ToSchema)]
#[schema(as = Batch)]
#[expect(dead_code, reason = "describes what `store_batch` reads")]
pub(super) struct BatchBody {
    /// The conversation of every episode that names none itself. Default: that of the first episode.
    session: Option<SessionBody>,
    /// The messages, oldest first, at most 1,000. One may name a session of its own in the same group.
    episodes: Vec<NewEpisodeBody>,
}

/// What was stored.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchStored)]
pub(super) struct BatchStoredBody {
    /// `episode-` and the UUID of each episode, in the order of the request.
    ids: Vec<String>,
    /// What became of them.
    status: ingest::State,
}

/// Stores messages of one group, all or none. An addition to the first API.
#[utoipa::path(
    post,
    path = "/v1/memories/batch",
    operation_id = "store_batch",
    tag = "memories",
    params(SessionHeaders, StoreHeaders),
    request_body = BatchBody,
    responses(
        (status = 200, description = "All are stored.", body = BatchStoredBody),
        (status = 400, description = "A producer or recipient takes no part in the session.", body = FailureBody),
        (status = 409, description = "The idempotency key came with another request before.", body = FailureBody),
        (status = 422, description = "The request does not validate; nothing is stored.", body = FailureBody),
    ),
)]
pub(super) async fn store_batch(
    allowed: Allowed<Write>,
    State(v1): State<V1>,
    headers: HeaderMap,
    JsonBody(mut body): JsonBody,
) -> Result<Response, Failure> {
    let since = Instant::now();
    let place = body.place("episodes");
    let episodes = listed(&mut body, &place)?;
    let session = Arc::new(session(&headers, &mut body, &episodes, &place)?);
    let space = session.space(&allowed)?;
    let incoming = episodes
        .into_iter()
        .enumerate()
        .map(|(i, episode)| read(&v1, &session, Fields::of(episode, place.item(i))?))
        .collect::<Result<Vec<Incoming>, Failure>>()?;
    let stored = keep(&v1, &headers, space, incoming, since).await?;
    let ids = stored.ids.iter().map(|id| PrefixedId(*id).to_string()).collect();
    Ok(answer(session.echo(), &stored, BatchStoredBody { ids, status: ingest::State::Stored }))
}

fn listed(body: &mut Fields, place: &Place) -> Result<Vec<Value>, Failure> {
    let episodes = body.required_list("episodes")?;
    let msg = match episodes.len() {
        0 => "there is no episode".to_owned(),
        1..=MOST => return Ok(episodes),
        given => format!("there are {given} episodes; the limit is {MOST}"),
    };
    let hint = "send between 1 and 1,000 episodes in one batch";
    Err(place.clone().wrong("value_error", msg, &Value::Null, "batch_size_out_of_range", hint))
}

/// The session of the batch; where the request names none, the one of its first episode.
fn session(
    headers: &HeaderMap,
    body: &mut Fields,
    episodes: &[Value],
    place: &Place,
) -> Result<NamedSession, Failure> {
    match episodes.first() {
        Some(first @ Value::Object(_)) if !body.has_value("session") && !is_named(headers) => {
            let session =
                Map::from_iter(first.get("session").map(|session| ("session".to_owned(), session.clone())));
            NamedSession::of_request(headers, &mut Fields::of(Value::Object(session), place.item(0))?)
        }
        _ => NamedSession::of_request(headers, body),
    }
}

fn read(v1: &V1, session: &Arc<NamedSession>, mut fields: Fields) -> Result<Incoming, Failure> {
    let place = fields.place("session");
    let own = NamedSession::of_body(&mut fields, Some(&session.group))?;
    let session = match own {
        Some(own) => Arc::new(within(session, own, &place)?),
        None => Arc::clone(session),
    };
    let episode = episode::read(fields, &session, Purpose::Recall, v1.app.memory.limits())?;
    Ok(Incoming { session, episode })
}

/// A batch is one transaction, and a transaction stays within one group.
fn within(session: &NamedSession, own: NamedSession, place: &Place) -> Result<NamedSession, Failure> {
    if own.group != session.group {
        let msg = format!("the batch belongs to group '{}'", session.group);
        let hint = "send one batch for each group";
        return Err(place.at("group_id").wrong(
            "value_error",
            msg,
            &Value::from(own.group),
            "other_group",
            hint,
        ));
    }
    own.checked()
}
