//! `GET /v1/usage`

use axum::Json;
use axum::extract::State;
use memcloud_memory::UsageReport;
use memcloud_ports::Usage;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::allowed::{Allowed, Read};
use crate::failure::{Failure, FailureBody};

/// What the language model was used for, by all servers of the instance together.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelUsage)]
pub(crate) struct UsageBody {
    /// The model that answers when nobody names one.
    model: String,
    /// In this minute of the clock.
    minute: SpanBody,
    /// In this day of UTC.
    day: SpanBody,
    /// For how many seconds the model is left alone, because it failed several times in a row; null while it is used.
    resting_seconds: Option<u64>,
}

/// What was used in a stretch of time, and what may be.
#[derive(Serialize, ToSchema)]
#[schema(as = UsageSpan)]
pub(crate) struct SpanBody {
    /// Calls, also those that failed.
    calls: u64,
    /// Tokens, in and out.
    tokens: u64,
    /// The limit of calls; null without one.
    calls_limit: Option<u64>,
    /// The limit of tokens; null without one.
    tokens_limit: Option<u64>,
}

/// Says what the language model was used for and what it may be used for. An addition of ours.
#[utoipa::path(
    get,
    path = "/v1/usage",
    operation_id = "model_usage",
    tag = "operation",
    responses(
        (status = 200, description = "What was used, and the limits.", body = UsageBody),
        (status = 503, description = "There is no model.", body = FailureBody),
    ),
)]
pub(crate) async fn usage(_: Allowed<Read>, State(app): State<App>) -> Result<Json<UsageBody>, Failure> {
    let gate = app.chat()?.gateway();
    let UsageReport { minute, day, budget } = gate.usage().await?;
    let span = |used: Usage, calls_limit, tokens_limit| SpanBody {
        calls: used.calls,
        tokens: used.tokens,
        calls_limit,
        tokens_limit,
    };
    Ok(Json(UsageBody {
        model: gate.name().to_owned(),
        minute: span(minute, budget.calls_per_minute, budget.tokens_per_minute),
        day: span(day, budget.calls_per_day, budget.tokens_per_day),
        resting_seconds: gate.resting().map(|left| left.as_secs_f64().ceil() as u64),
    }))
}
