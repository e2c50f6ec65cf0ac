//! `POST /api/operations/{id}/retry`

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use memcloud_api::console::Operation;
use memcloud_control::{Caller, OperationId};
use memcloud_http::{Allowed, ApiError, NoBody, Write};

use super::shown;
use crate::App;
use crate::api::params::Named;
use crate::api::responses::NotNow;
use crate::error::refused;

/// Runs an operation again that failed or was cancelled, from the first step that is not done.
#[utoipa::path(
    post,
    path = "/api/operations/{id}/retry",
    operation_id = "retry_operation",
    tag = "operations",
    params(("id" = String, Path, description = "The id of the operation.")),
    responses((status = 202, description = "The operation as it is now.", body = Operation), NotNow),
)]
pub(crate) async fn retry(
    _: Allowed<Write>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<OperationId>,
    _: NoBody,
) -> Result<(StatusCode, Json<Operation>), ApiError> {
    let operation = app.control.retry(&caller, &id).await.map_err(refused)?;
    Ok((StatusCode::ACCEPTED, Json(shown(operation))))
}
