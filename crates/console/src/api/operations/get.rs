//! `GET /api/operations/{id}`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::console::Operation;
use memcloud_control::{Caller, OperationId};
use memcloud_http::{Allowed, ApiError, Read};

use super::shown;
use crate::App;
use crate::api::params::Named;
use crate::api::responses::NotFound;
use crate::error::refused;

/// Returns one operation with its steps.
#[utoipa::path(
    get,
    path = "/api/operations/{id}",
    operation_id = "get_operation",
    tag = "operations",
    params(("id" = String, Path, description = "The id of the operation.")),
    responses((status = 200, description = "The operation.", body = Operation), NotFound),
)]
pub(crate) async fn get(
    _: Allowed<Read>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<OperationId>,
) -> Result<Json<Operation>, ApiError> {
    app.control.operation(&caller, &id).await.map(shown).map(Json).map_err(refused)
}
