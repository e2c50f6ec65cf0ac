//! `POST /v1/memories/search`, and the same for one kind of memory only: `…/episodic/search` and `…/profile/search`.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use memcloud_domain::{
    Attribute, Caller, Episode, Field, Filter, Metadata, Scalar, Space, Timestamp, Violation,
};
use memcloud_memory::{FactHit, Limits, SearchQuery, SearchResults};
use memcloud_ports::FactsOf;
use serde_json::Value;
use utoipa::ToSchema;

use super::V1;
use super::session::{NamedSession, SessionBody, SessionHeaders};
use super::shape::{HitBody, ObjectBody, Shape};
use crate::allowed::{Allowed, Read};
use crate::body::JsonBody;
use crate::failure::{Failure, FailureBody};
use crate::fields::{Fields, Place, QueryFields};

const USUAL_LIMIT: usize = 20;
const USUAL_FACTS: usize = 5;

/// A search.
#[derive(ToSchema)]
#[schema(as = SearchQuery)]
#[expect(dead_code, reason = "describes what `Asked::read` reads")]
pub(super) struct SearchBody {
    /// Whose memory is searched: the whole group of this session.
    session: Option<SessionBody>,
    /// What is asked, as a person would write it.
    query: String,
    /// What episodes must be equal in: `producer_id`, `produced_for_id`, `session_id`, `episode_type`,
    /// `metadata.<key>`.
    #[schema(value_type = Option<Object>)]
    filter: Option<Metadata>,
    /// The most hits. Default: 20 messages, 5 facts.
    limit: Option<i64>,
    /// A time: the facts that held then. RFC 3339; UTC without a zone. An addition to the first API.
    as_of: Option<String>,
    /// Whether each hit says why it was found. An addition to the first API.
    explain: Option<bool>,
}

/// Searches what was said in a group.
///
/// Answers a list of hits, best first, to a request that names its session in the body and has no `filter`; to any
/// other MemMachine's object.
#[utoipa::path(
    post,
    path = "/v1/memories/search",
    operation_id = "search_memories",
    tag = "search",
    params(
        SessionHeaders,
        ("shape" = Option<String>, Query, description = "`list` or `memmachine`, whatever the request looks like."),
        ("explain" = Option<bool>, Query, description = "Whether each hit says why it was found."),
    ),
    request_body = SearchBody,
    responses(
        (status = 200, description = "What was found.", body = Answer),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn search(
    allowed: Allowed<Read>,
    State(v1): State<V1>,
    headers: HeaderMap,
    mut query: QueryFields,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let since = Instant::now();
    let shape = Shape::of_request(v1.shapes, &headers, &mut query, &body)?;
    let asked = Asked::read(&v1, &allowed, &headers, query, body)?;
    let echo = asked.session.echo();
    Ok(match shape {
        Shape::List => {
            let found = find(&v1, &asked, since).await?;
            let hits: Vec<_> =
                found.hits.into_iter().map(|hit| HitBody::scored(hit, asked.explain)).collect();
            (echo, Json(hits)).into_response()
        }
        Shape::MemMachine => {
            let newest = v1.app.memory.newest(&asked.space, &asked.session.name, asked.limit).await?;
            let (found, facts) = find_both(&v1, &asked, since).await?;
            (echo, Json(ObjectBody::both(newest, found.hits, facts, asked.explain))).into_response()
        }
    })
}

/// The answer to a search.
#[derive(ToSchema)]
#[schema(as = SearchAnswer)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what `search` answers")]
pub(super) enum Answer {
    /// A list of hits, best first.
    List(Vec<HitBody>),
    /// MemMachine's object.
    MemMachine(ObjectBody),
}

/// Searches what was said in a group, and always answers MemMachine's object, with `episodic_memory` only.
#[utoipa::path(
    post,
    path = "/v1/memories/episodic/search",
    operation_id = "search_episodic_memories",
    tag = "search",
    params(SessionHeaders, ("explain" = Option<bool>, Query, description = "Whether each hit says why it was found.")),
    request_body = SearchBody,
    responses(
        (status = 200, description = "What was found.", body = ObjectBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn search_episodic(
    allowed: Allowed<Read>,
    State(v1): State<V1>,
    headers: HeaderMap,
    query: QueryFields,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let since = Instant::now();
    let asked = Asked::read(&v1, &allowed, &headers, query, body)?;
    let (newest, found) = recall(&v1, &asked, since).await?;
    let echo = asked.session.echo();
    Ok((echo, Json(ObjectBody::episodic(newest, found.hits, asked.explain))).into_response())
}

/// Searches what was learned of people, and always answers MemMachine's object, with `profile_memory` only:
/// facts about the users of the session.
#[utoipa::path(
    post,
    path = "/v1/memories/profile/search",
    operation_id = "search_profile",
    tag = "search",
    params(SessionHeaders),
    request_body = SearchBody,
    responses(
        (status = 200, description = "What was found.", body = ObjectBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn search_profile(
    allowed: Allowed<Read>,
    State(v1): State<V1>,
    headers: HeaderMap,
    query: QueryFields,
    JsonBody(body): JsonBody,
) -> Result<Response, Failure> {
    let asked = Asked::read(&v1, &allowed, &headers, query, body)?;
    let facts = facts(&v1, &asked).await?;
    Ok((asked.session.echo(), Json(ObjectBody::profile(facts))).into_response())
}

/// What a request asks for.
struct Asked {
    session: NamedSession,
    space: Space,
    text: String,
    filter: Filter,
    limit: usize,
    most_facts: usize,
    as_of: Option<Timestamp>,
    explain: bool,
}

impl Asked {
    fn read(
        v1: &V1,
        caller: &Caller,
        headers: &HeaderMap,
        mut query: QueryFields,
        mut body: Fields,
    ) -> Result<Self, Failure> {
        let session = NamedSession::of_request(headers, &mut body)?;
        let limits = v1.app.memory.limits();
        let text = question(&mut body, limits)?;
        let (place, limit) = (body.place("limit"), body.integer("limit")?);
        Ok(Self {
            space: session.space(caller)?,
            session,
            text,
            limit: place.clone().limit(limit, USUAL_LIMIT, limits.results)?,
            most_facts: place.limit(limit, USUAL_FACTS, limits.results)?,
            as_of: as_of(&mut body)?,
            filter: filter(&mut body)?,
            explain: query.truth("explain")? | body.truth("explain")?,
        })
    }

    /// The facts about the users of the session.
    fn facts_of(&self) -> FactsOf {
        let (space, owners) = (self.space.clone(), Some(self.session.users.clone()));
        FactsOf { space, owners, category: None, as_of: self.as_of }
    }

    fn question(&self) -> SearchQuery {
        let (space, text, filter) = (self.space.clone(), self.text.clone(), self.filter.clone());
        SearchQuery { space, text, filter, limit: self.limit }
    }
}

/// The hits, best first.
async fn find(v1: &V1, asked: &Asked, since: Instant) -> Result<SearchResults, Failure> {
    let found = v1.app.memory.search(asked.question()).await?;
    v1.app.measures.searched(found.embedding, found.ranking, since);
    Ok(found)
}

/// The hits and the facts, best first.
async fn find_both(v1: &V1, asked: &Asked, since: Instant) -> Result<(SearchResults, Vec<FactHit>), Failure> {
    let (found, facts) =
        v1.app.memory.search_both(asked.question(), &asked.facts_of(), asked.most_facts).await?;
    v1.app.measures.searched(found.embedding, found.ranking, since);
    Ok((found, facts))
}

/// The facts, best first.
async fn facts(v1: &V1, asked: &Asked) -> Result<Vec<FactHit>, Failure> {
    Ok(v1.app.memory.search_facts(&asked.facts_of(), &asked.text, asked.most_facts).await?)
}

/// The newest episodes of the session, which are what MemMachine calls short-term memory, and the hits.
async fn recall(v1: &V1, asked: &Asked, since: Instant) -> Result<(Vec<Episode>, SearchResults), Failure> {
    let newest = v1.app.memory.newest(&asked.space, &asked.session.name, asked.limit).await?;
    Ok((newest, find(v1, asked, since).await?))
}

fn question(body: &mut Fields, limits: &Limits) -> Result<String, Failure> {
    let text = body.required_text("query")?;
    limits
        .check_text(Field::Query, &text)
        .map_err(|error| body.place("query").refuse(&error, &Value::from(text.clone())))?;
    Ok(text)
}

fn as_of(body: &mut Fields) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = body.optional_text("as_of")? else { return Ok(None) };
    text.parse().map(Some).map_err(|error| body.place("as_of").refuse(&error, &Value::String(text)))
}

fn filter(body: &mut Fields) -> Result<Filter, Failure> {
    let place = body.place("filter");
    let given = body.object("filter")?.unwrap_or_default();
    let all = given.into_iter().filter_map(|(key, value)| condition(&key, value, &place).transpose());
    Ok(Filter::All(all.collect::<Result<_, _>>()?))
}

/// The condition that an entry of a filter states; `None` for the group, which the session decides.
fn condition(key: &str, value: Value, place: &Place) -> Result<Option<Filter>, Failure> {
    let attribute = match key {
        "group_id" => return Ok(None),
        "producer_id" => Attribute::Producer,
        "produced_for_id" => Attribute::Recipient,
        "session_id" => Attribute::Session,
        "episode_type" => Attribute::Kind,
        _ => return metadata(key, &value, place).map(Some),
    };
    place.under(key).text(value).map(|value| Some(Filter::equal(attribute, value)))
}

fn metadata(key: &str, value: &Value, place: &Place) -> Result<Filter, Failure> {
    let own = ["metadata.", "m.", "user_metadata."].iter().find_map(|prefix| key.strip_prefix(prefix));
    let Some(own) = own.filter(|own| !own.is_empty()) else {
        let error = Violation::unknown_key(key);
        return Err(place.under(key).refuse(&error, value));
    };
    let scalar = Scalar::of(value).ok_or_else(|| place.under(key).no_scalar(value))?;
    Ok(Filter::equal(Attribute::Metadata(vec![own.to_owned()]), scalar))
}
