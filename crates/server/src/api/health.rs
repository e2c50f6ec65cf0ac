//! `GET /health`, as the first API has it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::allowed::{Allowed, Read};
use crate::api::ready::wrong;
use crate::failure::FailureBody;

/// Whether the instance works.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `healthy` or `unhealthy`.
    status: &'static str,
    /// Always `memcloud`.
    service: &'static str,
    /// The version of the server.
    version: &'static str,
    /// Which kinds of memory work.
    memory_managers: Managers,
    /// What is wrong, when unhealthy.
    #[serde(flatten)]
    failure: Option<FailureBody>,
}

/// Which kinds of memory work.
#[derive(Serialize, ToSchema)]
pub(crate) struct Managers {
    /// What is learned of people: whether there is a language model that learns.
    profile_memory: bool,
    /// What was said.
    episodic_memory: bool,
}

/// Says whether the instance works, in the form that clients of the first API know.
#[utoipa::path(
    get,
    path = "/health",
    tag = "operation",
    responses(
        (status = 200, description = "The instance works.", body = Health),
        (status = 503, description = "It does not; `detail`, `code` and `hint` say why.", body = Health),
    ),
)]
pub(crate) async fn health(_: Allowed<Read>, State(app): State<App>) -> (StatusCode, Json<Health>) {
    let failure = wrong(&app).await;
    let works = failure.is_none();
    let health = Health {
        status: if works { "healthy" } else { "unhealthy" },
        service: "memcloud",
        version: App::VERSION,
        memory_managers: Managers { profile_memory: app.learns, episodic_memory: works },
        failure,
    };
    (if works { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(health))
}
