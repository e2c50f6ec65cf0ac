//! `GET /health/ready`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use memcloud_domain::Database;
use memcloud_ports::Check;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::allowed::{Allowed, Read};
use crate::failure::{Failure, FailureBody};

/// That the memory works.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    /// Always `ready`.
    status: &'static str,
    /// Each part, as it was found.
    parts: Vec<PartState>,
}

/// A part of the memory that can fail on its own.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// The data directory.
    Store,
    /// The database of the records, and of the episodes where there is no Neo4j.
    Postgres,
    /// The database of the episodes.
    Neo4j,
    /// The embedding model.
    Embedder,
    /// Cannot be told.
    Memory,
}

/// How a part was found.
#[derive(Serialize, ToSchema)]
pub(crate) struct PartState {
    /// The part.
    part: Part,
    /// Whether it works.
    works: bool,
    /// What is wrong with it, its code and its mend.
    #[serde(flatten)]
    failure: Option<FailureBody>,
}

/// Which part does not work, and the mend.
#[derive(Serialize, ToSchema)]
pub(crate) struct NotReady {
    /// Always `unavailable`.
    status: &'static str,
    /// The first part that does not work.
    part: Part,
    /// What is wrong with it, its code and its mend.
    #[serde(flatten)]
    failure: FailureBody,
    /// Each part, as it was found.
    parts: Vec<PartState>,
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
)]
pub(crate) async fn ready(_: Allowed<Read>, State(app): State<App>) -> Response {
    let parts = probe(&app).await;
    match parts.iter().find_map(|state| Some((state.part, state.failure.clone()?))) {
        None => Json(Ready { status: "ready", parts }).into_response(),
        Some((part, failure)) => {
            let not_ready = NotReady { status: "unavailable", part, failure, parts };
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], Json(not_ready)).into_response()
        }
    }
}

/// Tries every part of the memory.
async fn probe(app: &App) -> Vec<PartState> {
    let probed = tokio::time::timeout(app.settings.probe_timeout, app.memory.probe()).await;
    let Ok(checks) = probed else {
        let failure = Some(Failure::probe_too_slow().into_body());
        return vec![PartState { part: Part::Memory, works: false, failure }];
    };
    checks.into_iter().map(PartState::of).collect()
}

/// The first thing that is wrong with the memory, if anything is.
pub(super) async fn wrong(app: &App) -> Option<FailureBody> {
    probe(app).await.into_iter().find_map(|state| state.failure)
}

impl PartState {
    fn of(check: Check) -> Self {
        let part = match check.part {
            memcloud_ports::Part::Store => Part::Store,
            memcloud_ports::Part::Database(Database::Postgres) => Part::Postgres,
            memcloud_ports::Part::Database(Database::Neo4j) => Part::Neo4j,
            memcloud_ports::Part::Embedder => Part::Embedder,
        };
        let failure = check.outcome.err().map(|error| Failure::from(error).into_body());
        Self { part, works: failure.is_none(), failure }
    }
}
