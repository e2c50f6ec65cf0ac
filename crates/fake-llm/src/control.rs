//! `/dev/calls` and `/dev/faults`: the controls for tests.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use bytes::Bytes;

use crate::calls::Calls;
use crate::faults::Faults;
use crate::refusal::ErrorAnswer;
use crate::state::State;

pub(crate) async fn calls(Shared(state): Shared<Arc<State>>) -> Json<Calls> {
    Json(state.log().calls().clone())
}

pub(crate) async fn clear_calls(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.log().clear();
    StatusCode::NO_CONTENT
}

/// The active faults; null when there are none.
pub(crate) async fn faults(Shared(state): Shared<Arc<State>>) -> Json<Option<Faults>> {
    Json(state.faults().clone())
}

pub(crate) async fn set_faults(
    Shared(state): Shared<Arc<State>>,
    body: Bytes,
) -> Result<StatusCode, ErrorAnswer> {
    let faults = serde_json::from_slice(&body).map_err(|error| ErrorAnswer::invalid(error.to_string()))?;
    *state.faults() = Some(faults);
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn clear_faults(Shared(state): Shared<Arc<State>>) -> StatusCode {
    *state.faults() = None;
    StatusCode::NO_CONTENT
}
