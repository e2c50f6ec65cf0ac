use memcloud_domain::EpisodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A fact that was learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Fact {
    /// The group of facts that it belongs to, such as `Work`.
    pub tag: String,
    /// The property of the person, such as `employer`.
    pub feature: String,
    /// The value of that property.
    pub value: String,
    /// Where the fact comes from, and when it holds.
    pub metadata: FactMetadata,
}

/// Where a fact comes from, and when it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FactMetadata {
    /// Its number, which never changes.
    pub id: i64,
    /// How similar it is to the query: at most 1. Only in searches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub similarity_score: Option<f32>,
    /// The person it is about.
    pub user_id: String,
    /// The category, such as `profile`.
    pub category: String,
    /// The UUIDs of the messages that it was learned from.
    pub citations: Vec<String>,
    /// Since when it holds: UTC, RFC 3339.
    pub valid_from: String,
    /// Until when it held; null while it holds.
    pub valid_to: Option<String>,
    /// When it was learned.
    pub learned_at: String,
    /// The prompt that it was learned with.
    pub prompt: String,
    /// The model that it was learned with.
    pub model: String,
}

impl Fact {
    /// A fact on the wire, with its similarity where a search found it.
    pub fn new(fact: memcloud_domain::Fact, similarity_score: Option<f32>) -> Self {
        let metadata = FactMetadata {
            id: fact.id.number(),
            similarity_score,
            user_id: fact.target.set.owner().unwrap_or_default().to_owned(),
            category: fact.target.category,
            citations: fact.citations.iter().map(EpisodeId::to_string).collect(),
            valid_from: fact.valid_from.to_string(),
            valid_to: fact.valid_to.map(|at| at.to_string()),
            learned_at: fact.learned_at.to_string(),
            prompt: fact.prompt,
            model: fact.model,
        };
        Self { tag: fact.tag, feature: fact.name, value: fact.value, metadata }
    }
}
