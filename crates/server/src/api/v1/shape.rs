//! The two shapes in which a search answers: a plain list, and MemMachine's object. One JSON value cannot be both, so
//! what each client already sends decides.

use std::collections::HashSet;

use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use memcloud_domain::{Episode, EpisodeId};
use memcloud_memory::{Explanation, FactHit, Hit};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Shapes;
use super::episode::EpisodeBody;
use super::fact::FactBody;
use super::session::is_named;
use crate::failure::Failure;
use crate::fields::{Fields, Place, QueryFields};

/// In which shape a search answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A list of hits, best first.
    List,
    /// `{"status":0,"content":{…}}`.
    MemMachine,
}

impl Shape {
    /// The shape that fits a request. Every client of the first API that was found sends a `filter`, be it null, or
    /// names its session in headers; the requests that want the list do neither. An explicit word wins.
    pub(super) fn of_request(
        shapes: Shapes,
        headers: &HeaderMap,
        query: &mut QueryFields,
        body: &Fields,
    ) -> Result<Self, Failure> {
        let asked = query.text("shape")?;
        if shapes == Shapes::Original {
            return Ok(Self::MemMachine);
        }
        match asked.as_deref() {
            Some("list") => return Ok(Self::List),
            Some("memmachine") => return Ok(Self::MemMachine),
            Some(other) => {
                let hint = "ask for shape=list or shape=memmachine, or for none";
                let (place, input) = (Place::query().at("shape"), Value::from(other));
                return Err(place.wrong(
                    "value_error",
                    "there is no such shape",
                    &input,
                    "unknown_shape",
                    hint,
                ));
            }
            None => {}
        }
        let is_client =
            headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"MemMachineClient/"));
        let original = body.has("filter") || !body.has_value("session") || is_named(headers) || is_client;
        Ok(if original { Self::MemMachine } else { Self::List })
    }
}

/// An episode that a search found.
#[derive(Serialize, ToSchema)]
#[schema(as = Hit)]
pub(super) struct HitBody {
    #[serde(flatten)]
    episode: EpisodeBody,
    /// How well it fits; comparable within one answer only. Always in lists, and wherever `explain` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    /// Why it was found, when the request asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    explain: Option<Explanation>,
}

impl HitBody {
    /// An item of the list.
    pub(super) fn scored(hit: Hit, explain: bool) -> Self {
        let explanation = explain.then_some(hit.explanation);
        Self { episode: hit.episode.into(), score: Some(hit.score), explain: explanation }
    }

    /// An item of the object, which has no scores by itself.
    fn found(hit: Hit, explain: bool) -> Self {
        let scored = Self::scored(hit, explain);
        Self { score: scored.score.filter(|_| explain), ..scored }
    }
}

impl From<Episode> for HitBody {
    fn from(episode: Episode) -> Self {
        Self { episode: episode.into(), score: None, explain: None }
    }
}

/// MemMachine's answer to a search.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchResult)]
pub(super) struct ObjectBody {
    /// Always 0.
    status: u8,
    /// What was found.
    content: ContentBody,
}

/// What was found, for each kind of memory that was searched.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchContent)]
struct ContentBody {
    /// The newest episodes of the session, the hits that are not among them, and summaries, of which there are none.
    /// Both lists of episodes are in the order of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Vec<Value>>>)]
    episodic_memory: Option<(Vec<HitBody>, Vec<HitBody>, [&'static str; 1])>,
    /// What was learned of people, best first.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_memory: Option<Vec<FactBody>>,
}

impl ObjectBody {
    /// Both kinds of memory.
    pub(super) fn both(newest: Vec<Episode>, hits: Vec<Hit>, facts: Vec<FactHit>, explain: bool) -> Self {
        Self {
            status: 0,
            content: ContentBody {
                profile_memory: Self::profile(facts).content.profile_memory,
                ..Self::episodic(newest, hits, explain).content
            },
        }
    }

    /// What was said.
    pub(super) fn episodic(newest: Vec<Episode>, mut hits: Vec<Hit>, explain: bool) -> Self {
        let shown: HashSet<EpisodeId> = newest.iter().map(|episode| episode.id).collect();
        hits.retain(|hit| !shown.contains(&hit.episode.id));
        hits.sort_by_key(|hit| (hit.episode.created_at, hit.episode.id));
        let short_term = newest.into_iter().map(HitBody::from).collect();
        let long_term = hits.into_iter().map(|hit| HitBody::found(hit, explain)).collect();
        let episodic_memory = Some((short_term, long_term, [""]));
        Self { status: 0, content: ContentBody { episodic_memory, profile_memory: None } }
    }

    /// What was learned.
    pub(super) fn profile(facts: Vec<FactHit>) -> Self {
        let facts = facts.into_iter().map(FactBody::from).collect();
        Self { status: 0, content: ContentBody { episodic_memory: None, profile_memory: Some(facts) } }
    }
}
