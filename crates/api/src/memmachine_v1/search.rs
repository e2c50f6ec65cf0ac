use deserr::Deserr;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Episode, Fact, Session};
use crate::{Integer, Nullable, Object, Problems};

/// A search.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct SearchQuery {
    /// The session whose group is searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub session: Option<Session>,
    /// The question, as a person would write it.
    #[schema(min_length = 1, pattern = "\\S")]
    pub query: String,
    /// The values that episodes must have: `producer_id`, `produced_for_id`, `session_id`, `episode_type`,
    /// `metadata.<key>`.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    #[deserr(default)]
    #[schema(value_type = Option<Object>)]
    pub filter: Nullable<Object>,
    /// The most hits. Default: 20 messages, 5 facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000)]
    pub limit: Option<Integer>,
    /// A time: find the facts that held then. RFC 3339; UTC without a zone. MemMachine's v1 API does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    #[schema(format = DateTime)]
    pub as_of: Option<String>,
    /// Whether each hit says why it was found. MemMachine's v1 API does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub explain: Option<bool>,
}

/// The answer to a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SearchAnswer {
    /// A list of hits, best first.
    List(Vec<Hit>),
    /// MemMachine's object.
    MemMachine(SearchResult),
}

/// An episode that a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Hit {
    /// The episode.
    #[serde(flatten)]
    pub episode: Episode,
    /// How well it fits; comparable within one answer only. Always in lists, and wherever `explain` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// Why it was found, when the request asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explanation>,
}

impl From<memcloud_domain::Episode> for Hit {
    fn from(episode: memcloud_domain::Episode) -> Self {
        Self { episode: episode.into(), score: None, explain: None }
    }
}

/// Why an episode was found: the parts of its score, and the words it shares with the query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// Its meaning is similar to the query.
    pub meaning: f32,
    /// The meaning of what is said around it is similar to the query.
    pub meaning_around: f32,
    /// It, or what is said around it, contains words of the query.
    pub words: f32,
    /// The query names its producer.
    pub named: f32,
    /// Its segment contains a good answer.
    pub segment: f32,
    /// It is itself a question (negative).
    pub question: f32,
    /// The query asks when, and it contains words of time.
    pub time_words: f32,
    /// It was said in the time that the query names.
    pub time_range: f32,
    /// The words of the query that it contains itself, as stems.
    pub shared_words: Vec<String>,
}

/// MemMachine's answer to a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchResult {
    /// Always 0.
    pub status: u8,
    /// What was found.
    pub content: SearchContent,
}

/// What was found, for each kind of memory that was searched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchContent {
    /// Three lists: the newest episodes of the session, the hits that are not among them, and one empty summary. Both lists
    /// of episodes are in the order of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Vec<Value>>>)]
    pub episodic_memory: Option<(Vec<Hit>, Vec<Hit>, Vec<String>)>,
    /// The facts about the users, best first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_memory: Option<Vec<Fact>>,
}
