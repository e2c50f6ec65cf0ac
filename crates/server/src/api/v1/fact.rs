//! A fact on the wire.

use memcloud_memory::FactHit;
use memcloud_model::{EpisodeId, Feature};
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
    fn of(feature: Feature, similarity_score: Option<f32>) -> Self {
        let metadata = FactMetadata {
            id: feature.id.number(),
            similarity_score,
            user_id: feature.subject.owner,
            category: feature.subject.category,
            citations: feature.citations.iter().map(EpisodeId::to_string).collect(),
            valid_from: feature.valid_from.to_string(),
            valid_to: feature.valid_to.map(|at| at.to_string()),
            learned_at: feature.learned_at.to_string(),
            prompt: feature.prompt,
            model: feature.model,
        };
        Self { tag: feature.tag, feature: feature.feature, value: feature.value, metadata }
    }
}

impl From<FactHit> for FactBody {
    fn from(hit: FactHit) -> Self {
        Self::of(hit.feature, Some(hit.score))
    }
}

impl From<Feature> for FactBody {
    fn from(feature: Feature) -> Self {
        Self::of(feature, None)
    }
}
