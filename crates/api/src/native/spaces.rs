use deserr::Deserr;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problems;

/// A space: what a v1 group or a project is kept in. Nothing is found across spaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Space {
    /// The organization; `universal` for v1 groups.
    pub org: String,
    /// The project; for a v1 group its `group_id`.
    pub project: String,
    /// A description for people; empty when there is none.
    pub description: String,
    /// Whether messages that are stored in it are learned from.
    pub learns: bool,
    /// `active`, or `deleting` until its data are gone.
    pub state: String,
    /// When it was created; null when that is not known.
    pub created_at: Option<String>,
}

/// A space and how much it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpaceDetails {
    /// The space.
    #[serde(flatten)]
    pub space: Space,
    /// How many sessions it has.
    pub sessions: u64,
    /// How many messages it has.
    pub episodes: u64,
    /// How many facts were learned in it, including those that no longer hold.
    pub facts: u64,
}

/// Spaces, by organization and project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Spaces {
    /// The spaces.
    pub spaces: Vec<Space>,
    /// Where the next page begins, to be sent as `cursor`; null on the last page.
    pub next_cursor: Option<String>,
}

/// What to change of a space. What is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Problems)]
pub struct SpaceChanges {
    /// The new description; up to 1,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    #[schema(max_length = 1_000)]
    pub description: Option<String>,
    /// Whether messages that are stored from now on are learned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[deserr(default)]
    pub learns: Option<bool>,
}
