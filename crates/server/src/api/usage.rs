//! `GET /v1/usage`

use axum::Json;
use axum::extract::State;
use memcloud_api::native::{ModelUsage, UsageSpan};
use memcloud_http::{Allowed, ApiError, Read};
use memcloud_memory::UsageReport;
use memcloud_ports::Usage;

use crate::App;

/// Reports how much the language model was used, and its limits.
#[utoipa::path(
    get,
    path = "/v1/usage",
    operation_id = "model_usage",
    tag = "operation",
    responses(
        (status = 200, description = "The usage and the limits.", body = ModelUsage),
        (status = 503, description = "There is no model.", body = memcloud_api::Error),
    ),
)]
pub(crate) async fn usage(_: Allowed<Read>, State(app): State<App>) -> Result<Json<ModelUsage>, ApiError> {
    let gateway = app.chat()?.gateway();
    let UsageReport { minute, day, budget } = gateway.usage().await?;
    let span = |used: Usage, calls_limit, tokens_limit| UsageSpan {
        calls: used.calls,
        tokens: used.tokens,
        calls_limit,
        tokens_limit,
    };
    Ok(Json(ModelUsage {
        model: gateway.name().to_owned(),
        minute: span(minute, budget.calls_per_minute, budget.tokens_per_minute),
        day: span(day, budget.calls_per_day, budget.tokens_per_day),
        resting_seconds: gateway.resting().map(|left| left.as_secs_f64().ceil() as u64),
    }))
}
