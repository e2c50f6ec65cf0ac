//! `GET /health`, in the shape of `MemMachine`'s v1 API.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use memcloud_api::native::{Health, Managers};
use memcloud_http::{Allowed, Read};

use super::ready::first_failure;
use crate::App;

/// Reports whether the instance works, in the shape that clients of MemMachine's v1 API know.
#[utoipa::path(
    get,
    path = "/health",
    tag = "operation",
    responses(
        (status = 200, description = "The instance works.", body = Health),
        (status = 503, description = "The instance does not work; `detail`, `code` and `hint` say why.", body = Health),
    ),
)]
pub(crate) async fn health(_: Allowed<Read>, State(app): State<App>) -> (StatusCode, Json<Health>) {
    let failure = first_failure(&app).await;
    let works = failure.is_none();
    let health = Health {
        status: if works { "healthy".into() } else { "unhealthy".into() },
        service: "memcloud".into(),
        version: App::VERSION.into(),
        memory_managers: Managers { profile_memory: app.memory.learns(), episodic_memory: works },
        failure,
    };
    (if works { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(health))
}
