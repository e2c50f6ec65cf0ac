//! `POST /api/operations/{id}/cancel`

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

/// Asks an operation to stop. It has ended when its state says so: what was done may have to be undone first.
#[utoipa::path(
    post,
    path = "/api/operations/{id}/cancel",
    operation_id = "cancel_operation",
    tag = "operations",
    params(("id" = String, Path, description = "The id of the operation.")),
    responses((status = 202, description = "The operation as it is now.", body = Operation), NotNow),
)]
pub(crate) async fn cancel(
    _: Allowed<Write>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<OperationId>,
    _: NoBody,
) -> Result<(StatusCode, Json<Operation>), ApiError> {
    let operation = app.control.cancel(&caller, &id).await.map_err(refused)?;
    Ok((StatusCode::ACCEPTED, Json(shown(operation))))
}
