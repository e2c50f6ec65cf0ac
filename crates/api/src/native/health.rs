use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Detail, Error};

/// Whether the instance works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `healthy` or `unhealthy`.
    pub status: String,
    /// Always `memcloud`.
    pub service: String,
    /// The version of the server.
    pub version: String,
    /// Which kinds of memory work.
    pub memory_managers: Managers,
    /// What is wrong, when unhealthy.
    #[serde(flatten)]
    #[schema(value_type = Failure)]
    pub failure: Option<Error>,
}

/// An error, or none of its fields. Only its schema is used.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes an optional `Error` among other fields")]
struct Failure {
    /// What is wrong.
    #[schema(required = false)]
    detail: Detail,
    /// The stable name of the error, for programs.
    #[schema(required = false)]
    code: String,
    /// What to do next, in one sentence.
    #[schema(required = false)]
    hint: String,
}

/// Which kinds of memory work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Managers {
    /// Facts about people: whether there is a language model that learns them.
    pub profile_memory: bool,
    /// What was said.
    pub episodic_memory: bool,
}

/// The process runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Live {
    /// Always `alive`.
    pub status: String,
}

/// The memory works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ready {
    /// Always `ready`.
    pub status: String,
    /// The state of each part.
    pub parts: Vec<PartState>,
}

/// A part of the memory that can fail on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The data directory.
    Store,
    /// The database of the records, and of the episodes where there is no Neo4j.
    Postgres,
    /// The database of the episodes.
    Neo4j,
    /// The embedding model.
    Embedder,
    /// It is not known which part.
    Memory,
}

/// The state of a part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PartState {
    /// The part.
    pub part: Part,
    /// Whether it works.
    pub works: bool,
    /// What is wrong with it, with a code and a hint.
    #[serde(flatten)]
    #[schema(value_type = Failure)]
    pub failure: Option<Error>,
}

/// A part of the memory does not work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NotReady {
    /// Always `unavailable`.
    pub status: String,
    /// The first part that does not work.
    pub part: Part,
    /// What is wrong with it, with a code and a hint.
    #[serde(flatten)]
    pub failure: Error,
    /// The state of each part.
    pub parts: Vec<PartState>,
}
