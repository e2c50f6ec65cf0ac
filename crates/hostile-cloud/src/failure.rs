//! How the work of an operation ends.

use serde_json::Value;

/// How an operation ends in an error.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// A name such as `INTERNAL_ERROR`, as SQL and Compute give it.
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    /// The number of the code, as the other APIs give it.
    pub(crate) fn number(&self) -> u8 {
        match self.code.as_str() {
            "INVALID_ARGUMENT" => 3,
            "NOT_FOUND" => 5,
            "ALREADY_EXISTS" => 6,
            "PERMISSION_DENIED" => 7,
            "RESOURCE_EXHAUSTED" => 8,
            "FAILED_PRECONDITION" => 9,
            "ABORTED" => 10,
            "UNAVAILABLE" => 14,
            _ => 13,
        }
    }
}

/// What the work of an operation came to.
pub(crate) type Outcome<T = Value> = Result<T, Failure>;
