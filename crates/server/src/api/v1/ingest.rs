//! What all stores have in common: who may speak, the request to the memory, and its answer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use memcloud_domain::{Member, NewEpisode, Purpose, Space};
use memcloud_memory::{SessionMembers, StoreRequest, Stored};
use serde::Serialize;
use serde_json::Value;

use super::V1;
use super::session::NamedSession;
use crate::failure::Failure;
use crate::fields::Place;

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
const REPLAYED: &str = "idempotency-replayed";

/// What a store reads of its headers beside the session.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header that `idempotency_key` reads")]
pub(super) struct StoreHeaders {
    /// The client's name for this request, within its group. Sent again with the same request it stores nothing and
    /// answers what was answered, with the header `Idempotency-Replayed: true`.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
}

/// What became of an episode that was handed in.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Progress)]
pub(super) enum State {
    /// Durable, and found by searches.
    Stored,
    /// Durable, and waiting for the profile to learn from it.
    Queued,
}

/// An episode on its way in, with the session that its request names, shared by all episodes that name none of their
/// own.
pub(super) struct Incoming {
    pub(super) session: Arc<NamedSession>,
    pub(super) episode: NewEpisode,
}

/// Stores episodes of one space, and counts and times it.
pub(super) async fn keep(
    v1: &V1,
    headers: &HeaderMap,
    space: Space,
    incoming: Vec<Incoming>,
    since: Instant,
) -> Result<Stored, Failure> {
    let idempotency_key = idempotency_key(headers)?;
    let members = session_members(&incoming);
    for present in &members {
        check_members(v1, &space, present, &incoming).await?;
    }
    let episodes: Vec<NewEpisode> = incoming.into_iter().map(|incoming| incoming.episode).collect();
    let count = episodes.len();
    let stored = v1.app.memory.store(StoreRequest { space, members, episodes, idempotency_key }).await?;
    if !stored.repeated {
        v1.app.measures.stored(count, since);
    }
    Ok(stored)
}

/// The members of each session, each session once, in the order in which they are named.
fn session_members(incoming: &[Incoming]) -> Vec<SessionMembers> {
    let mut sessions: Vec<SessionMembers> = vec![];
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut seen = HashSet::new();
    for Incoming { session, .. } in incoming {
        if !seen.insert(Arc::as_ptr(session)) {
            continue;
        }
        let place = *places.entry(&session.name).or_insert(sessions.len());
        match sessions.get_mut(place) {
            Some(present) => present.members.extend(session.members()),
            None => sessions
                .push(SessionMembers { session: session.name.clone(), members: session.members().collect() }),
        }
    }
    for present in &mut sessions {
        present.members.sort();
        present.members.dedup();
    }
    sessions
}

/// Refuses an episode between people who take no part in its session, neither as named now nor ever before.
async fn check_members(
    v1: &V1,
    space: &Space,
    present: &SessionMembers,
    incoming: &[Incoming],
) -> Result<(), Failure> {
    let here = || incoming.iter().filter(|incoming| incoming.session.name == present.session);
    let mut members: Vec<&Member> = present.members.iter().collect();
    let names = members.iter().map(|member| member.name()).collect();
    if here().all(|incoming| is_among(incoming, &names)) {
        return Ok(());
    }
    let known = v1.app.memory.session(space, &present.session).await?;
    let known = known.map(|session| session.members).unwrap_or_default();
    members.extend(&known);
    members.sort();
    members.dedup();
    let names = members.iter().map(|member| member.name()).collect();
    match here().find(|incoming| !is_among(incoming, &names)) {
        Some(incoming) => Err(Failure::not_a_member(non_members(&incoming.episode, &members))),
        None => Ok(()),
    }
}

/// Whether the episode is between members of these names.
///
/// An episode for the profile may come from anyone, and the producer that stands in for a missing one is no member
/// when it is several users at once.
fn is_among(Incoming { session, episode }: &Incoming, names: &HashSet<&str>) -> bool {
    let (producer, recipient) = (episode.producer.as_str(), episode.produced_for.as_str());
    let speaks = || names.contains(producer) || *producer == session.usual_producer();
    let hears = || recipient.is_empty() || names.contains(recipient);
    episode.purpose == Purpose::ProfileOnly || (speaks() && hears())
}

/// The documented words for an episode whose producer or recipient is not among these members.
fn non_members(episode: &NewEpisode, members: &[&Member]) -> String {
    let (producer, recipient) = (&episode.producer, &episode.produced_for);
    let (users, agents): (Vec<_>, Vec<_>) =
        members.iter().partition(|member| matches!(member, Member::User(_)));
    let listed = |members: Vec<&&Member>| {
        members.into_iter().map(|member| format!("'{}'", member.name())).collect::<Vec<_>>().join(", ")
    };
    format!("either {producer} or {recipient} is not in [{}] or [{}]", listed(users), listed(agents))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if !key.is_empty() => Ok(Some(key.to_owned())),
        _ => {
            let shown = Value::from(String::from_utf8_lossy(value.as_bytes()));
            let hint = "send a key of printable ASCII characters, such as a UUID";
            let place = Place::header(IDEMPOTENCY_KEY);
            Err(place.wrong("value_error", "the key is empty or not ASCII", &shown, "invalid_header", hint))
        }
    }
}

/// The answer to a store, saying when it is one that was given before.
pub(super) fn answer(mut headers: HeaderMap, stored: &Stored, body: impl Serialize) -> Response {
    if stored.repeated {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    (headers, Json(body)).into_response()
}
