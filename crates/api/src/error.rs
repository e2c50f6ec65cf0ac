//! The body of an answer that is an error.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{PrefixedId, Problem};

/// The body of every answer that is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Error {
    /// What is wrong.
    pub detail: Detail,
    /// The stable name of the error, for programs. Of several problems it is the first one's.
    pub code: String,
    /// What to do next, in one sentence.
    pub hint: String,
    /// What a failed chat has stored nevertheless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<StoredOfChat>,
}

/// What is wrong: every problem and its place for a request that does not validate (422), else a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Detail {
    /// Every problem of the request: at least one, at most 100.
    Problems(Vec<Problem>),
    /// A text.
    Text(String),
}

/// What a failed chat has stored nevertheless.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoredOfChat {
    /// `episode-` and the UUID of the user's message.
    pub user_message: Option<PrefixedId>,
    /// `episode-` and the UUID of the part of the answer that arrived before the failure.
    pub assistant_message: Option<PrefixedId>,
    /// That part of the answer, stored or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}
