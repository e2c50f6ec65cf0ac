//! A fact on the wire.

use memcloud_domain::{EpisodeId, Fact};
use memcloud_memory::FactHit;
use serde::Serialize;
use utoipa::ToSchema;

/// A fact that was learned.
#[derive(Serialize, ToSchema)]
#[schema(as = Fact)]
pub(super) struct FactBody {
    /// The group of facts that it belongs to, such as `Work`.
    tag: String,
    /// What is said about the person.
    feature: String,
    /// What it is.
    value: String,
    metadata: FactMetadata,
}

/// Where a fact comes from, and when it holds.
#[derive(Serialize, ToSchema)]
struct FactMetadata {
    /// Its number, the same for ever.
    id: i64,
    /// How much it is like what was asked: at most 1. Only in searches.
    #[serde(skip_serializing_if = "Option::is_none")]
    similarity_score: Option<f32>,
    /// Whom it is about.
    user_id: String,
    /// The category, such as `profile`.
    category: String,
    /// The UUIDs of the messages that it was learned from.
    citations: Vec<String>,
    /// Since when it holds: UTC, RFC 3339.
    valid_from: String,
    /// Until when it held; null while it does.
    valid_to: Option<String>,
    /// When it was learned.
    learned_at: String,
    /// The prompt that it was learned with.
    prompt: String,
    /// The model that it was learned with.
    model: String,
}

impl FactBody {
    fn of(fact: Fact, similarity_score: Option<f32>) -> Self {
        let metadata = FactMetadata {
            id: fact.id.number(),
            similarity_score,
            user_id: fact.subject.owner,
            category: fact.subject.category,
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

impl From<FactHit> for FactBody {
    fn from(hit: FactHit) -> Self {
        Self::of(hit.fact, Some(hit.score))
    }
}

impl From<Fact> for FactBody {
    fn from(fact: Fact) -> Self {
        Self::of(fact, None)
    }
}
