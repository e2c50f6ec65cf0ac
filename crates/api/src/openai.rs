//! `OpenAI`'s shape of an error. Requests and answers pass through as they are.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

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
    pub kind: Cow<'static, str>,
    /// The parameter that is wrong. Always null here.
    pub param: Option<String>,
    /// The stable name of the error, for programs.
    pub code: Cow<'static, str>,
}
