//! The two shapes of an answer to a search: a plain list, and `MemMachine`'s object. One JSON value cannot be both, so
//! the request decides.

use std::collections::HashSet;

use axum::extract::FromRef;
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use memcloud_api::memmachine_v1::{Explanation, Fact, Hit, SearchContent, SearchQuery, SearchResult};
use memcloud_api::{Place, Problem, Problems};
use memcloud_domain::{Episode, EpisodeId};
use memcloud_http::BodyLimits;
use memcloud_memory::{FactHit, Hit as Found};
use serde_json::Value;
use utoipa::ToSchema;

use crate::App;
use crate::api::session::is_named;
use crate::params::QueryParams;

/// The shapes in which the searches of a route answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shapes {
    /// The one that fits the request.
    AsAsked,
    /// Always `MemMachine`'s.
    Original,
}

/// What the routes of memories share.
#[derive(Clone)]
pub(crate) struct V1 {
    pub(crate) app: App,
    pub(crate) shapes: Shapes,
}

impl FromRef<V1> for App {
    fn from_ref(v1: &V1) -> Self {
        v1.app.clone()
    }
}

impl FromRef<V1> for BodyLimits {
    fn from_ref(v1: &V1) -> Self {
        Self::from_ref(&v1.app)
    }
}

impl FromRef<V1> for Shapes {
    fn from_ref(v1: &V1) -> Self {
        v1.shapes
    }
}

/// The shape of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum Shape {
    /// A list of hits, best first.
    List,
    /// `{"status":0,"content":{…}}`.
    MemMachine,
}

impl Shape {
    /// The shape that fits a request. All known v1 clients send a `filter`, if only null, or name the session in headers;
    /// the requests that want the list do neither. The parameter `shape` wins.
    pub(super) fn of_request(
        shapes: Shapes,
        headers: &HeaderMap,
        query: &mut QueryParams,
        body: &SearchQuery,
        problems: &mut Problems,
    ) -> Self {
        let asked = query.text("shape", problems);
        if shapes == Shapes::Original {
            return Self::MemMachine;
        }
        match asked.as_deref() {
            Some("list") => return Self::List,
            Some("memmachine") => return Self::MemMachine,
            Some(other) => {
                let place = Place::query().at("shape");
                let problem = Problem::new(place, "value_error", "there is no such shape", "unknown_shape");
                problems.push(problem.showing(&Value::from(other)));
            }
            None => {}
        }
        let is_client =
            headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"MemMachineClient/"));
        let original = !body.filter.is_absent() || body.session.is_none() || is_named(headers) || is_client;
        if original { Self::MemMachine } else { Self::List }
    }
}

/// An item of the list.
pub(super) fn scored(hit: Found, explain: bool) -> Hit {
    let explanation = explain.then_some(Explanation {
        meaning: hit.explanation.parts.meaning,
        meaning_around: hit.explanation.parts.meaning_around,
        words: hit.explanation.parts.words,
        named: hit.explanation.parts.named,
        segment: hit.explanation.parts.segment,
        question: hit.explanation.parts.question,
        time_words: hit.explanation.parts.time_words,
        time_range: hit.explanation.parts.time_range,
        shared_words: hit.explanation.shared_words,
    });
    Hit { episode: hit.episode.into(), score: Some(hit.score), explain: explanation }
}

/// `MemMachine`'s object with this content.
pub(super) fn object(content: SearchContent) -> SearchResult {
    SearchResult { status: 0, content }
}

/// What was said: the newest episodes of the session, and the hits that are not among them. The object has scores only
/// where hits are explained.
pub(super) fn episodic(newest: Vec<Episode>, mut hits: Vec<Found>, explain: bool) -> SearchContent {
    let shown: HashSet<EpisodeId> = newest.iter().map(|episode| episode.id).collect();
    hits.retain(|hit| !shown.contains(&hit.episode.id));
    hits.sort_by_key(|hit| (hit.episode.created_at, hit.episode.id));
    let short_term = newest.into_iter().map(Hit::from).collect();
    let in_object = |hit| {
        let hit = scored(hit, explain);
        Hit { score: hit.score.filter(|_| explain), ..hit }
    };
    let long_term = hits.into_iter().map(in_object).collect();
    SearchContent {
        episodic_memory: Some((short_term, long_term, vec![String::new()])),
        profile_memory: None,
    }
}

/// The facts that were found.
pub(super) fn profile(facts: Vec<FactHit>) -> Vec<Fact> {
    facts.into_iter().map(|hit| Fact::new(hit.fact, Some(hit.score))).collect()
}
