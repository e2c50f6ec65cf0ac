//! `GET /api/instances/{id}/keys`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::native::Keys;
use memcloud_control::{Caller, InstanceId};
use memcloud_http::{Allowed, ApiError, Read};

use crate::App;
use crate::api::params::Named;
use crate::api::responses::NotNow;
use crate::error::refused;

/// Lists the keys of an instance, without their secrets.
#[utoipa::path(
    get,
    path = "/api/instances/{id}/keys",
    operation_id = "list_keys",
    tag = "keys",
    params(("id" = String, Path, description = "The id of the instance.")),
    responses((status = 200, description = "The keys.", body = Keys), NotNow),
)]
pub(crate) async fn list(
    _: Allowed<Read>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<InstanceId>,
) -> Result<Json<Keys>, ApiError> {
    let keys = app.control.keys(&caller, &id).await.map_err(refused)?;
    Ok(Json(Keys { keys }))
}
