//! `GET /api/instances/{id}`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::console::Instance;
use memcloud_control::{Caller, InstanceId};
use memcloud_http::{Allowed, ApiError, Read};

use super::with_capabilities;
use crate::App;
use crate::api::params::Named;
use crate::api::responses::NotFound;
use crate::error::refused;

/// Returns one instance.
#[utoipa::path(
    get,
    path = "/api/instances/{id}",
    operation_id = "get_instance",
    tag = "instances",
    params(("id" = String, Path, description = "The id of the instance.")),
    responses((status = 200, description = "The instance.", body = Instance), NotFound),
)]
pub(crate) async fn get(
    _: Allowed<Read>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<InstanceId>,
) -> Result<Json<Instance>, ApiError> {
    let instance = app.control.instance(&caller, &id).await.map_err(refused)?;
    with_capabilities(&app, instance).await.map(Json)
}
