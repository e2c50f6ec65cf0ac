//! `GET /health/ready`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use memcloud_api::native::{NotReady, Part, PartState, Ready};
use memcloud_domain::Database;
use memcloud_http::{Allowed, ApiError, Read};
use memcloud_ports::{Component, HealthCheck};

use crate::{App, hint};

/// Checks that the memory can be written and read now, and that its embedding model answers.
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
        None => Json(Ready { status: "ready".into(), parts }).into_response(),
        Some((part, failure)) => {
            let not_ready = NotReady { status: "unavailable".into(), part, failure, parts };
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], Json(not_ready)).into_response()
        }
    }
}

/// Checks every part of the memory.
async fn probe(app: &App) -> Vec<PartState> {
    let probed = tokio::time::timeout(app.settings.probe_timeout, app.memory.probe()).await;
    let Ok(checks) = probed else {
        let failure = Some(too_slow().into_body(hint::of));
        return vec![PartState { part: Part::Memory, works: false, failure }];
    };
    checks.into_iter().map(state).collect()
}

fn too_slow() -> ApiError {
    let detail = "the memory does not answer in time";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, detail, "probe_timeout")
}

/// The failure of the first part that does not work.
pub(super) async fn first_failure(app: &App) -> Option<memcloud_api::Error> {
    probe(app).await.into_iter().find_map(|state| state.failure)
}

fn state(check: HealthCheck) -> PartState {
    let part = match check.component {
        Component::Store => Part::Store,
        Component::Database(Database::Postgres) => Part::Postgres,
        Component::Database(Database::Neo4j) => Part::Neo4j,
        Component::Embedder => Part::Embedder,
    };
    let failure = check.outcome.err().map(|error| ApiError::from(error).into_body(hint::of));
    PartState { part, works: failure.is_none(), failure }
}
