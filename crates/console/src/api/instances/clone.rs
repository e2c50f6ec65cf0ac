//! `POST /api/instances/{id}/clone`

use axum::Extension;
use axum::extract::State;
use memcloud_api::console::{Accepted, Clone as CloneInstance};
use memcloud_api::{Place, Problem};
use memcloud_control::instances::{InvalidName, Name};
use memcloud_control::{Caller, InstanceId};
use memcloud_http::{Allowed, TypedBody, Write};

use super::{Begun, accepted};
use crate::App;
use crate::api::params::Named;
use crate::api::responses::NotNow;
use crate::error::refused;

/// Makes an instance from a copy of this one's data. Only an embedded instance can be cloned.
#[utoipa::path(
    post,
    path = "/api/instances/{id}/clone",
    operation_id = "clone_instance",
    tag = "instances",
    params(("id" = String, Path, description = "The id of the instance that is copied.")),
    request_body = CloneInstance,
    responses((status = 202, description = "The new instance and its operation.", body = Accepted), NotNow),
)]
pub(crate) async fn clone(
    _: Allowed<Write>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<InstanceId>,
    body: TypedBody<CloneInstance>,
) -> Begun {
    let name: Name = body.known_fields_only().checked(|body, problems| {
        problems.take(body.name.parse().map_err(|error: InvalidName| {
            Problem::new(Place::body().at("name"), "value_error", error.to_string(), "invalid_name")
        }))
    })?;
    let (_, operation) = app.control.clone_instance(&caller, &id, name).await.map_err(refused)?;
    accepted(&app, operation).await
}
