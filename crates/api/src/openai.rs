//! `OpenAI`'s shape of an error. Requests and answers pass through as they are.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of a chat completion. Only its schema is used: everything in it passes through.
#[derive(ToSchema)]
pub struct CompletionRequest {
    /// The conversation so far.
    #[schema(value_type = Vec<Object>, min_items = 1, max_items = 2_048)]
    pub messages: Vec<serde_json::Value>,
}

/// The body of an answer that is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: Error,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Error {
    /// What is wrong and what to do next.
    pub message: String,
    /// The kind of error, such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The parameter that is wrong. Always null here.
    pub param: Option<String>,
    /// The stable name of the error, for programs.
    pub code: String,
}
