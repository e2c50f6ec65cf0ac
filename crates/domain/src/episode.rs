use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{EpisodeId, Space, Timestamp};

/// What a client attaches to an episode: any JSON object, returned unchanged.
pub type Metadata = Map<String, Value>;

/// What an episode is kept for. Engines store the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Purpose {
    /// Found by searches, and learned from.
    #[default]
    Recall = 0,
    /// Only learned from: it waits for the profile and no search finds it.
    ProfileOnly = 1,
    /// Only a part of its conversation: no search finds it and nothing is learned from it.
    Transcript = 2,
}

impl Purpose {
    /// The purpose with this number.
    pub fn numbered(number: i64) -> Option<Self> {
        [Self::Recall, Self::ProfileOnly, Self::Transcript]
            .into_iter()
            .find(|purpose| *purpose as i64 == number)
    }
}

/// One message as a client hands it in, before it has an identity.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEpisode {
    /// The conversation it belongs to.
    pub session: String,
    /// What was said.
    pub content: String,
    /// Who said it.
    pub producer: String,
    /// Who it was said to; empty for no one in particular.
    pub produced_for: String,
    /// The producer's role in the conversation (`user`, `assistant`, …); empty when not given.
    pub role: String,
    /// The client's own word for the kind of episode, `message` by default.
    pub kind: String,
    /// The client's own data.
    pub metadata: Metadata,
    /// When it happened; the moment of storing when not given.
    pub created_at: Option<Timestamp>,
    /// What it is kept for.
    pub purpose: Purpose,
}

/// One stored message.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// Its identity, the same in every API.
    pub id: EpisodeId,
    /// The space it belongs to.
    pub space: Space,
    /// The conversation it belongs to.
    pub session: String,
    /// What was said.
    pub content: String,
    /// Who said it.
    pub producer: String,
    /// Who it was said to; empty for no one in particular.
    pub produced_for: String,
    /// The producer's role; empty when not given.
    pub role: String,
    /// The client's own word for the kind of episode.
    pub kind: String,
    /// The client's own data.
    pub metadata: Metadata,
    /// When it happened.
    pub created_at: Timestamp,
    /// When it was stored.
    pub ingested_at: Timestamp,
    /// What it is kept for.
    pub purpose: Purpose,
}

/// Roughly what a JSON value takes in addition to its texts.
const VALUE_BYTES: usize = 80;

/// Roughly what a field of a JSON object takes in addition to its texts and its value.
const FIELD_BYTES: usize = 40;

/// An object makes room for this many fields at once.
const FIELDS_AT_ONCE: usize = 4;

impl Episode {
    /// About how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        let texts =
            [&self.session, &self.content, &self.producer, &self.produced_for, &self.role, &self.kind];
        let names = self.space.org.len() + self.space.project.len();
        let texts = texts.iter().map(|text| text.len()).sum::<usize>() + names;
        size_of::<Self>() + texts + metadata_size(&self.metadata)
    }
}

/// About how much memory metadata takes, in bytes.
pub fn metadata_size(object: &Metadata) -> usize {
    let fields = object.len().next_multiple_of(FIELDS_AT_ONCE) * (FIELD_BYTES + VALUE_BYTES);
    fields + object.iter().map(|(key, value)| key.len() + inner_size(value)).sum::<usize>()
}

fn inner_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| 2 * VALUE_BYTES + inner_size(item)).sum(),
        Value::Object(object) => metadata_size(object),
    }
}
