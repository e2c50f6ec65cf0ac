//! `POST /api/instances/{id}/keys`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::native::{CreatedKey, NewKey};
use memcloud_control::{Caller, InstanceId};
use memcloud_http::{Allowed, ApiError, TypedBody, Write};

use crate::App;
use crate::api::params::Named;
use crate::api::responses::NotNow;
use crate::error::refused;

/// Makes a key of an instance. It is shown this once.
#[utoipa::path(
    post,
    path = "/api/instances/{id}/keys",
    operation_id = "create_key",
    tag = "keys",
    params(("id" = String, Path, description = "The id of the instance.")),
    request_body = NewKey,
    responses((status = 200, description = "The key.", body = CreatedKey), NotNow),
)]
pub(crate) async fn create(
    _: Allowed<Write>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<InstanceId>,
    body: TypedBody<NewKey>,
) -> Result<Json<CreatedKey>, ApiError> {
    let new = body.known_fields_only().checked(|body, _| Some(body))?;
    app.control.create_key(&caller, &id, &new).await.map(Json).map_err(refused)
}
