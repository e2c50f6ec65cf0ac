//! Stores messages: what a single store and a batch have in common.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use memcloud_api::memmachine_v1::{self, Moment, NewEpisode};
use memcloud_api::{Place, Problem, Problems};
use memcloud_domain::{self as domain, Caller, Field, Member, Metadata, Purpose, Timestamp, Violation};
use memcloud_http::ApiError;
use memcloud_memory::{Checked, Limits, SessionMembers, StoreRequest, Stored};
use serde::Serialize;
use serde_json::Value;

use super::session::{NamedSession, place_of_item};
use crate::App;

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
const REPLAYED: &str = "idempotency-replayed";
const USUAL_KIND: &str = "message";
/// The most members that an error names.
const SHOWN_MEMBERS: usize = 10;

/// The headers of a store, apart from those of the session.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header that `idempotency_key` reads")]
pub(crate) struct StoreHeaders {
    /// The client's name for this request, within its group. Sent again with the same request it stores nothing and
    /// returns the first answer, with the header `Idempotency-Replayed: true`.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
}

/// A request to store messages of one space, all or none, that breaks no rule.
pub(crate) struct Store {
    request: Checked<StoreRequest>,
    origins: Vec<Origin>,
}

/// A message to store.
pub(crate) struct Message {
    origin: Origin,
    episode: domain::NewEpisode,
}

/// What the request says about a message in addition to the message itself.
struct Origin {
    /// Messages that name no session share one.
    session: Arc<NamedSession>,
    /// Its number in a batch.
    item: Option<usize>,
    /// Whether the users of the session stand in for the producer.
    is_usual_producer: bool,
}

impl Message {
    /// A message of this session.
    pub(crate) fn read(
        session: Arc<NamedSession>,
        new: NewEpisode,
        purpose: Purpose,
        item: Option<usize>,
        problems: &mut Problems,
    ) -> Self {
        let metadata = new.metadata.unwrap_or_default().0;
        let is_usual_producer = new.producer.is_empty();
        let created_at = match new.timestamp {
            Some(Moment(at)) => Some(at),
            None => said_at(&metadata, item, problems),
        };
        let episode = domain::NewEpisode {
            session: session.name.clone(),
            content: new.episode_content,
            producer: if is_usual_producer { session.usual_producer().to_owned() } else { new.producer },
            produced_for: new.produced_for,
            role: new.role.unwrap_or_default(),
            kind: if new.episode_type.is_empty() { USUAL_KIND.to_owned() } else { new.episode_type },
            created_at,
            metadata,
            purpose,
        };
        Self { origin: Origin { session, item, is_usual_producer }, episode }
    }
}

/// When a message was said, where clients of v1 write it.
fn said_at(metadata: &Metadata, item: Option<usize>, problems: &mut Problems) -> Option<Timestamp> {
    let given = metadata.get("timestamp").filter(|given| !given.is_null())?;
    let place = place_of_item(item).at("metadata").at("timestamp");
    problems.take_at(place, Moment::read(given)).map(|Moment(at)| at)
}

impl Origin {
    /// Where a field of the message is in the request.
    fn place(&self, field: Field, limits: &Limits) -> Place {
        let at = place_of_item(self.item);
        match field {
            Field::Producer if self.is_usual_producer => self.session.place(Field::User, limits),
            Field::Producer => at.at("producer"),
            Field::Recipient => at.at("produced_for"),
            Field::Role => at.at("role"),
            Field::Kind => at.at("episode_type"),
            Field::Content => at.at("episode_content"),
            Field::Metadata | Field::Caption => at.at("metadata"),
            Field::Timestamp => at.at("timestamp"),
            field => self.session.place(field, limits),
        }
    }
}

impl Store {
    /// Puts the messages of a session's group together.
    pub(crate) fn read(
        limits: &Limits,
        headers: &HeaderMap,
        session: &NamedSession,
        messages: Vec<Message>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let idempotency_key = problems.take(idempotency_key(headers)).flatten();
        let (origins, episodes): (Vec<Origin>, Vec<_>) =
            messages.into_iter().map(|message| (message.origin, message.episode)).unzip();
        let space = memmachine_v1::space(session.group.as_str());
        let request = StoreRequest { space, members: session_members(&origins), episodes, idempotency_key };
        let place = |violation: &Violation| match violation.field {
            Field::IdempotencyKey => Place::header(IDEMPOTENCY_KEY),
            field => {
                let origin = origins.get(violation.item.unwrap_or_default());
                origin.map_or_else(Place::body, |origin| origin.place(field, limits))
            }
        };
        let request = problems.take_all(request.checked(limits), place)?;
        Some(Self { request, origins })
    }

    /// Stores the messages when their group is open to the caller, and counts and times it.
    pub(crate) async fn run(self, app: &App, caller: &Caller, since: Instant) -> Result<Stored, ApiError> {
        let Self { request, origins } = self;
        caller.enter(request.space.clone())?;
        let mut messages: HashMap<&str, Vec<(&Origin, &domain::NewEpisode)>> = HashMap::new();
        for message in origins.iter().zip(&request.episodes) {
            messages.entry(&message.1.session).or_default().push(message);
        }
        for present in &request.members {
            let messages = messages.remove(present.session.as_str()).unwrap_or_default();
            check_members(app, &request.space, present, &messages).await?;
        }
        let count = request.episodes.len();
        let stored = app.memory.store(request).await?;
        if !stored.repeated {
            app.measures.stored(count, since);
        }
        Ok(stored)
    }
}

/// The members of each session, each session once, in the order in which they are named.
fn session_members(origins: &[Origin]) -> Vec<SessionMembers> {
    let mut sessions: Vec<SessionMembers> = vec![];
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut seen = HashSet::new();
    for Origin { session, .. } in origins {
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

/// Refuses a message whose producer or recipient is not a member of its session, now or before.
async fn check_members(
    app: &App,
    space: &domain::Space,
    present: &SessionMembers,
    messages: &[(&Origin, &domain::NewEpisode)],
) -> Result<(), ApiError> {
    let mut names: HashSet<&str> = present.members.iter().map(Member::name).collect();
    let absent: Vec<String> = messages
        .iter()
        .filter(|(origin, episode)| !is_among(&origin.session, episode, &names))
        .flat_map(|(_, episode)| [&episode.producer, &episode.produced_for])
        .filter(|name| !names.contains(name.as_str()))
        .cloned()
        .collect();
    if absent.is_empty() {
        return Ok(());
    }
    let (sessions, session) = (&app.memory.engine().sessions, &present.session);
    let known = sessions.members(space, session, &absent).await?;
    names.extend(known.iter().map(Member::name));
    let Some((_, episode)) =
        messages.iter().find(|(origin, episode)| !is_among(&origin.session, episode, &names))
    else {
        return Ok(());
    };
    let known = sessions.session(space, session, SHOWN_MEMBERS + 1).await?;
    let mut members = known.map(|session| session.members).unwrap_or_default();
    members.extend_from_slice(&present.members);
    members.sort();
    members.dedup();
    Err(not_a_member(episode, &members))
}

/// Whether the message is between members of these names.
///
/// A message for the profile may come from anyone. Several users at once can stand in for a missing producer; that joined
/// name is not a member.
fn is_among(session: &NamedSession, episode: &domain::NewEpisode, names: &HashSet<&str>) -> bool {
    let (producer, recipient) = (episode.producer.as_str(), episode.produced_for.as_str());
    let speaks = || names.contains(producer) || producer == session.usual_producer();
    let hears = || recipient.is_empty() || names.contains(recipient);
    episode.purpose == Purpose::ProfileOnly || (speaks() && hears())
}

/// The documented error for a message whose producer or recipient is not among these members. It shows the first of them.
fn not_a_member(episode: &domain::NewEpisode, members: &[Member]) -> ApiError {
    let (producer, recipient) = (&episode.producer, &episode.produced_for);
    let (users, agents): (Vec<_>, Vec<_>) =
        members.iter().take(SHOWN_MEMBERS).partition(|member| matches!(member, Member::User(_)));
    let listed = |members: Vec<&Member>| {
        members.into_iter().map(|member| format!("'{}'", member.name())).collect::<Vec<_>>().join(", ")
    };
    let (users, agents) = (listed(users), listed(agents));
    let more = if members.len() > SHOWN_MEMBERS { "; the session has more members" } else { "" };
    let detail = format!("either {producer} or {recipient} is not in [{users}] or [{agents}]{more}");
    ApiError::new(StatusCode::BAD_REQUEST, detail, "not_a_member")
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        let msg = "the header is there more than once";
        return Err(Problem::new(Place::header(IDEMPOTENCY_KEY), "value_error", msg, "repeated_header"));
    }
    match value.to_str() {
        Ok(key) if !key.is_empty() => Ok(Some(key.to_owned())),
        _ => {
            let msg = "the key is empty or not ASCII";
            let problem = Problem::new(Place::header(IDEMPOTENCY_KEY), "value_error", msg, "invalid_header");
            Err(problem.showing(&Value::from(String::from_utf8_lossy(value.as_bytes()))))
        }
    }
}

/// The answer to a store. A header says when it repeats an earlier answer.
pub(crate) fn answer(mut headers: HeaderMap, stored: &Stored, body: impl Serialize) -> Response {
    if stored.repeated {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    (headers, Json(body)).into_response()
}
