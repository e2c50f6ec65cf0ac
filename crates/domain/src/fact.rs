use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{EpisodeId, FactSet, Field, Metadata, Timestamp, Violation};

/// What is learned together: the facts of one category in one set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FactTarget {
    /// The set.
    pub set: FactSet,
    /// The name of the category, such as `profile`.
    pub category: String,
}

/// The identity of one fact: the microsecond in which it was learned, or the next free number.
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

/// One fact, whether it holds or held. A language model learned it from messages, or a person made it by hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// Its identity.
    pub id: FactId,
    /// The set and the category that it is part of.
    pub target: FactTarget,
    /// The group of facts inside the category, such as `Work`.
    pub tag: String,
    /// What it is about, such as `employer`.
    pub name: String,
    /// What it is.
    pub value: String,
    /// What was stored with it; empty unless it was made by hand.
    pub metadata: Metadata,
    /// The messages that it rests on, oldest first. Those that were deleted since are left out. A fact that was made by hand
    /// may rest on none.
    pub citations: Vec<EpisodeId>,
    /// Since when it holds: when the message was said that states it.
    pub valid_from: Timestamp,
    /// Until when it held; `None` while it does.
    pub valid_to: Option<Timestamp>,
    /// When it was learned.
    pub learned_at: Timestamp,
    /// The prompt that it was learned with, such as `profile/1`; empty when it was made by hand.
    pub prompt: String,
    /// The language model that it was learned with; empty when it was made by hand.
    pub model: String,
}
