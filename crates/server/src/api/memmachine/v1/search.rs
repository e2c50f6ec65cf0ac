//! `POST /v1/memories/search`, and the same for one kind of memory only: `…/episodic/search` and `…/profile/search`.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use memcloud_api::memmachine_v1::{self, SearchAnswer, SearchContent, SearchQuery, SearchResult};
use memcloud_api::{Integer, Place, Problems};
use memcloud_domain::{Caller, Episode, Field, Reservation, Timestamp};
use memcloud_http::{Allowed, ApiError, Read, TypedBody};
use memcloud_memory::{self as memory, Checked, FactHit, Limits, SearchResults};
use memcloud_ports::FactsOf;

use super::filter;
use super::shape::{self, Shape, Shapes};
use crate::App;
use crate::api::answer_size::{is_large, json};
use crate::api::session::{NamedSession, SessionHeaders};
use crate::params::QueryParams;

const USUAL_LIMIT: usize = 20;
const USUAL_FACTS: usize = 5;
const CUT: &str = "results-cut";

/// Searches what was said in a group.
///
/// A request that names its session in the body and has no `filter` gets a list of hits, best first. Any other request
/// gets MemMachine's object.
#[utoipa::path(
    post,
    path = "/v1/memories/search",
    operation_id = "search_memories",
    tag = "search",
    params(
        SessionHeaders,
        ("shape" = inline(Option<Shape>), Query, description = "`list` or `memmachine`: the shape of the answer, whatever the request looks like."),
        ("explain" = Option<bool>, Query, description = "Whether each hit says why it was found."),
    ),
    request_body = SearchQuery,
    responses((status = 200, description = "What was found.", body = SearchAnswer, headers(("results-cut" = String, description = "`true` where the last hits are left out, because those before are large together.")))),
)]
pub(crate) async fn search(
    allowed: Allowed<Read>,
    State(app): State<App>,
    State(shapes): State<Shapes>,
    headers: HeaderMap,
    mut query: QueryParams,
    body: TypedBody<SearchQuery>,
) -> Result<Response, ApiError> {
    let (shape, search) = body.checked(|body, problems| {
        let shape = Shape::of_request(shapes, &headers, &mut query, &body, problems);
        Some((shape, Search::read(app.memory.limits(), &headers, query, body, problems)?))
    })?;
    let search = search.entered(&allowed)?;
    match shape {
        Shape::List => {
            let found = search.episodes(&app).await?;
            let answer = json(&app, are_large(&[], &found), || {
                let hits = found.hits.into_iter().map(|hit| shape::scored(hit, search.explain));
                hits.collect::<Vec<_>>()
            });
            Ok((search.headers(found.cut), answer?).into_response())
        }
        Shape::MemMachine => {
            let (newest, _held) = search.newest(&app).await?;
            let (found, facts) = search.both(&app).await?;
            search.answer(&app, newest, found, Some(facts))
        }
    }
}

/// Searches what was said in a group. The answer is always MemMachine's object, with `episodic_memory` only.
#[utoipa::path(
    post,
    path = "/v1/memories/episodic/search",
    operation_id = "search_episodic_memories",
    tag = "search",
    params(SessionHeaders, ("explain" = Option<bool>, Query, description = "Whether each hit says why it was found.")),
    request_body = SearchQuery,
    responses((status = 200, description = "What was found.", body = SearchResult, headers(("results-cut" = String, description = "`true` where the last hits are left out, because those before are large together.")))),
)]
pub(crate) async fn search_episodic(
    allowed: Allowed<Read>,
    State(app): State<App>,
    headers: HeaderMap,
    query: QueryParams,
    body: TypedBody<SearchQuery>,
) -> Result<Response, ApiError> {
    let search = searched(&app, &allowed, &headers, query, body)?;
    let (newest, _held) = search.newest(&app).await?;
    let found = search.episodes(&app).await?;
    search.answer(&app, newest, found, None)
}

/// Searches the facts about the users of the session. The answer is always MemMachine's object, with `profile_memory`
/// only.
#[utoipa::path(
    post,
    path = "/v1/memories/profile/search",
    operation_id = "search_profile",
    tag = "search",
    params(SessionHeaders),
    request_body = SearchQuery,
    responses((status = 200, description = "What was found.", body = SearchResult)),
)]
pub(crate) async fn search_profile(
    allowed: Allowed<Read>,
    State(app): State<App>,
    headers: HeaderMap,
    query: QueryParams,
    body: TypedBody<SearchQuery>,
) -> Result<Response, ApiError> {
    let search = searched(&app, &allowed, &headers, query, body)?;
    let facts = app.memory.search_facts(&search.query, &search.facts_of(), search.most_facts).await?;
    let content = SearchContent { episodic_memory: None, profile_memory: Some(shape::profile(facts)) };
    Ok((search.headers(false), Json(shape::object(content))).into_response())
}

/// What a request searches for.
struct Search {
    session: NamedSession,
    query: Checked<memory::SearchQuery>,
    most_facts: usize,
    as_of: Option<Timestamp>,
    explain: bool,
    since: Instant,
}

/// What a request for one kind of memory searches for.
fn searched(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    query: QueryParams,
    body: TypedBody<SearchQuery>,
) -> Result<Search, ApiError> {
    let limits = app.memory.limits();
    let search = body.checked(|body, problems| Search::read(limits, headers, query, body, problems))?;
    search.entered(caller)
}

impl Search {
    fn read(
        limits: &Limits,
        headers: &HeaderMap,
        mut params: QueryParams,
        body: SearchQuery,
        problems: &mut Problems,
    ) -> Option<Self> {
        let (since, at) = (Instant::now(), |field| Place::body().at(field));
        let session = NamedSession::of_request(headers, body.session, problems);
        let filter = body.filter.value().map(|given| filter::read(&given, problems));
        let given = body.limit.map(|Integer(limit)| limit);
        let usual = |count: usize| count.min(limits.results);
        let query = memory::SearchQuery {
            space: memmachine_v1::space(session.group.as_str()),
            text: body.query,
            filter: filter.unwrap_or_default(),
            limit: given.unwrap_or(usual(USUAL_LIMIT) as i64),
        };
        let query = problems.take_all(query.checked(limits), |violation| match violation.field {
            Field::Query => at("query"),
            Field::Limit => at("limit"),
            field => session.place(field, limits),
        });
        let as_of = body.as_of.as_deref().map(str::parse).transpose();
        let as_of = problems.take_at(at("as_of"), as_of).flatten();
        let explain = params.truth("explain", problems) || body.explain.unwrap_or_default();
        let query = query?;
        Some(Self {
            session,
            most_facts: if given.is_some() { query.limit() } else { usual(USUAL_FACTS) },
            query,
            as_of,
            explain,
            since,
        })
    }

    /// This search when its group is open to the caller.
    fn entered(self, caller: &Caller) -> Result<Self, ApiError> {
        caller.enter(self.query.space.clone())?;
        Ok(self)
    }

    /// The facts about the users of the session.
    fn facts_of(&self) -> FactsOf {
        FactsOf { as_of: self.as_of, ..FactsOf::owners(&self.query.space, &self.session.users) }
    }

    /// The newest episodes of the session, which MemMachine calls short-term memory, and what they take of the account of
    /// requests and answers.
    async fn newest(&self, app: &App) -> Result<(Vec<Episode>, Reservation), ApiError> {
        let (episodes, query) = (&app.memory.engine().episodes, &self.query);
        let newest = episodes.newest(&query.space, &self.session.name, query.limit()).await?;
        let held = app.memory.in_flight().reservation();
        held.take(newest.iter().map(Episode::size).sum())?;
        Ok((newest, held))
    }

    /// The hits, best first.
    async fn episodes(&self, app: &App) -> Result<SearchResults, ApiError> {
        let found = app.memory.search(&self.query).await?;
        app.measures.searched(&found, self.since);
        Ok(found)
    }

    /// The hits and the facts, best first.
    async fn both(&self, app: &App) -> Result<(SearchResults, Vec<FactHit>), ApiError> {
        let (found, facts) = app.memory.search_both(&self.query, &self.facts_of(), self.most_facts).await?;
        app.measures.searched(&found, self.since);
        Ok((found, facts))
    }

    /// MemMachine's object with these episodes, and with these facts where the request asks for both.
    fn answer(
        &self,
        app: &App,
        newest: Vec<Episode>,
        found: SearchResults,
        facts: Option<Vec<FactHit>>,
    ) -> Result<Response, ApiError> {
        let answer = json(app, are_large(&newest, &found), || {
            let profile_memory = facts.map(shape::profile);
            let episodic = shape::episodic(newest, found.hits, self.explain);
            shape::object(SearchContent { profile_memory, ..episodic })
        });
        Ok((self.headers(found.cut), answer?).into_response())
    }

    /// The headers of the answer: the session, and whether hits are left out because those before
    /// are large together.
    fn headers(&self, cut: bool) -> HeaderMap {
        let mut headers = self.session.echo();
        if cut {
            headers.insert(CUT, HeaderValue::from_static("true"));
        }
        headers
    }
}

fn are_large(newest: &[Episode], found: &SearchResults) -> bool {
    is_large(newest.iter().chain(found.hits.iter().map(|hit| &hit.episode)))
}
