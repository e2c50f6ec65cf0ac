use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How much the language model was used, by all servers of the instance together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelUsage {
    /// The model that answers when the request names none.
    pub model: String,
    /// In this minute of the clock.
    pub minute: UsageSpan,
    /// In this day of UTC.
    pub day: UsageSpan,
    /// For how many more seconds the model is not called, because several calls in a row failed; null while it is called.
    pub resting_seconds: Option<u64>,
}

/// The usage of a stretch of time, and its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageSpan {
    /// Calls, including those that failed.
    pub calls: u64,
    /// Tokens, in and out.
    pub tokens: u64,
    /// The limit of calls; null without one.
    pub calls_limit: Option<u64>,
    /// The limit of tokens; null without one.
    pub tokens_limit: Option<u64>,
}
