//! `POST /api/instances/{id}/stop`

use axum::Extension;
use axum::extract::State;
use memcloud_api::console::Accepted;
use memcloud_control::{Caller, InstanceId, OperationKind};
use memcloud_http::{Allowed, NoBody, Write};
use serde_json::Value;

use super::{Begun, begin};
use crate::App;
use crate::api::params::Named;
use crate::api::responses::NotNow;

/// Stops an instance. It stays stopped until it is started.
#[utoipa::path(
    post,
    path = "/api/instances/{id}/stop",
    operation_id = "stop_instance",
    tag = "instances",
    params(("id" = String, Path, description = "The id of the instance.")),
    responses((status = 202, description = "The instance and its operation.", body = Accepted), NotNow),
)]
pub(crate) async fn stop(
    _: Allowed<Write>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<InstanceId>,
    _: NoBody,
) -> Begun {
    begin(&app, &caller, &id, OperationKind::Stop, Value::Null).await
}
