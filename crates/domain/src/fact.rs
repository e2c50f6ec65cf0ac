use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{EpisodeId, Field, Space, Timestamp, Violation};

/// What is learned together: one category of facts about one owner in one space.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProfileKey {
    /// Where the messages stand that it is learned from.
    pub space: Space,
    /// Whom the facts are about.
    pub owner: String,
    /// The kind of facts, such as `profile`.
    pub category: String,
}

/// The identity of one fact: the microsecond in which it was learned, moved on where that is taken.
///
/// A number below 2^53, so that every JSON reader keeps it whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FactId(i64);

impl FactId {
    /// The id with this number.
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The number that engines keep and the wire shows.
    pub fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for FactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for FactId {
    type Err = Violation;

    fn from_str(text: &str) -> Result<Self, Violation> {
        text.parse().map(Self).map_err(|_| Violation::invalid_id(Field::Fact, text))
    }
}

/// One fact that was learned, whether it holds or held.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// Its identity.
    pub id: FactId,
    /// Whom it is about, and where.
    pub subject: ProfileKey,
    /// The group of facts inside the category, such as `Work`.
    pub tag: String,
    /// What is said about the owner, such as `employer`.
    pub name: String,
    /// What it is.
    pub value: String,
    /// The messages that it was learned from, oldest first. Those that were deleted since are left out.
    pub citations: Vec<EpisodeId>,
    /// Since when it holds: when the message was said that tells it.
    pub valid_from: Timestamp,
    /// Until when it held; `None` while it does.
    pub valid_to: Option<Timestamp>,
    /// When it was learned.
    pub learned_at: Timestamp,
    /// The prompt that it was learned with, such as `profile/1`.
    pub prompt: String,
    /// The language model that it was learned with.
    pub model: String,
}
