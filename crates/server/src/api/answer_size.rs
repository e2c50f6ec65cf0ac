//! Answers with episodes, small or large.

use axum::Json;
use axum::response::{IntoResponse, Response};
use memcloud_domain::Episode;
use memcloud_http::{ApiError, counted_json};
use memcloud_tasks::{INLINE_SCANNED_BYTES, step_aside};
use serde::Serialize;

use crate::App;

/// Whether writing these episodes takes longer than a switch to another thread and back.
pub(super) fn is_large<'a>(episodes: impl Iterator<Item = &'a Episode>) -> bool {
    episodes.map(Episode::size).sum::<usize>() > INLINE_SCANNED_BYTES
}

/// The answer with this value. A large one is made while another thread serves others, and is refused before it is made when
/// the account of requests and answers has no room for it.
pub(super) fn json<T: Serialize>(
    app: &App,
    is_large: bool,
    value: impl FnOnce() -> T,
) -> Result<Response, ApiError> {
    if !is_large {
        return Ok(Json(value()).into_response());
    }
    step_aside(true, || counted_json(app.memory.in_flight(), &value()))
}
