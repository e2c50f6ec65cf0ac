//! `GET /health/ready`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use memcloud_model::Error;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::failure::{Failure, FailureBody};

/// That the memory works.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    /// Always `ready`.
    status: &'static str,
}

/// A part of the memory that can fail on its own.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// The engine that keeps the episodes.
    Store,
    /// The embedding model.
    Embedder,
    /// Cannot be told.
    Memory,
}

/// Which part does not work, and the mend.
#[derive(Serialize, ToSchema)]
pub(crate) struct NotReady {
    /// Always `unavailable`.
    status: &'static str,
    /// The part that does not work.
    part: Part,
    /// What is wrong with it, its code and its mend.
    #[serde(flatten)]
    failure: FailureBody,
}

/// Proves that the memory can be written and read at this moment and that its model answers.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "operation",
    responses(
        (status = 200, description = "The memory works.", body = Ready),
        (status = 503, description = "A part does not work.", body = NotReady),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn ready(State(app): State<App>) -> Response {
    match probe(&app).await {
        Ok(()) => Json(Ready { status: "ready" }).into_response(),
        Err((part, failure)) => {
            let not_ready = NotReady { status: "unavailable", part, failure: failure.into_body() };
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], Json(not_ready)).into_response()
        }
    }
}

/// Tries the memory, and says which part fails.
pub(super) async fn probe(app: &App) -> Result<(), (Part, Failure)> {
    match tokio::time::timeout(app.settings.probe_timeout, app.memory.probe()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err((part_of(&error), error.into())),
        Err(_) => Err((Part::Memory, Failure::probe_too_slow())),
    }
}

fn part_of(error: &Error) -> Part {
    match error {
        Error::Embedding(_) | Error::OtherVectorSpace { .. } => Part::Embedder,
        Error::StorageFull(_)
        | Error::StorageReadOnly(_)
        | Error::StorageLocked { .. }
        | Error::Storage { .. } => Part::Store,
        _ => Part::Memory,
    }
}
