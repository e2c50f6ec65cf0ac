use serde_json::Value;

use crate::{Episode, TimeRange};

/// What an episode must be like to be found: all predicates hold. Empty lets everything through.
///
/// A filter is applied before ranking, so a match is never lost behind better-ranked episodes that it would hide.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// All of these must hold.
    pub all: Vec<Predicate>,
}

/// One condition on an episode. Text is compared exactly, letter by letter.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// Said by this producer.
    Producer(String),
    /// Said to this recipient.
    ProducedFor(String),
    /// Belongs to this session.
    Session(String),
    /// Is of this kind (`episode_type`).
    Kind(String),
    /// The metadata has this key with this value.
    Metadata(String, Scalar),
    /// Happened within this range.
    Created(TimeRange),
}

/// A metadata value that can be compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// Text.
    Text(String),
    /// A number; integers are compared as numbers, so `3` equals `3.0`.
    Number(f64),
    /// A truth value.
    Bool(bool),
}

impl Scalar {
    /// The scalar in a JSON value; `None` for null, lists and objects.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Number(number) => number.as_f64().map(Self::Number),
            Value::Bool(truth) => Some(Self::Bool(*truth)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl Filter {
    /// Whether this episode passes. The reference that every index of a filter must agree with.
    pub fn matches(&self, episode: &Episode) -> bool {
        self.all.iter().all(|predicate| match predicate {
            Predicate::Producer(name) => episode.producer == *name,
            Predicate::ProducedFor(name) => episode.produced_for == *name,
            Predicate::Session(name) => episode.session == *name,
            Predicate::Kind(name) => episode.kind == *name,
            Predicate::Metadata(key, wanted) => {
                episode.metadata.get(key).and_then(Scalar::of).is_some_and(|value| value == *wanted)
            }
            Predicate::Created(range) => range.contains(episode.created_at),
        })
    }
}
