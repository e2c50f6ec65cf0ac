//! `DELETE /api/instances/{id}`

use axum::Extension;
use axum::extract::State;
use memcloud_api::console::{Accepted, DeleteInstance};
use memcloud_api::{Place, Problem};
use memcloud_control::{Caller, Data, InstanceId};
use memcloud_http::{Allowed, TypedBody, Write};

use super::{Begun, accepted};
use crate::App;
use crate::api::params::{Named, NoQuery};
use crate::api::responses::NotNow;
use crate::error::refused;

/// Removes an instance, whose name is repeated in `confirm`. Its data stay unless `data` is `delete`.
#[utoipa::path(
    delete,
    path = "/api/instances/{id}",
    operation_id = "delete_instance",
    tag = "instances",
    params(("id" = String, Path, description = "The id of the instance.")),
    request_body = DeleteInstance,
    responses((status = 202, description = "The instance and its operation.", body = Accepted), NotNow),
)]
pub(crate) async fn delete(
    _: Allowed<Write>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<InstanceId>,
    _: NoQuery,
    body: TypedBody<DeleteInstance>,
) -> Begun {
    let (confirm, data) = body.known_fields_only().checked(|body, problems| {
        let data = problems.take(data(body.data.as_deref()));
        Some((body.confirm, data?))
    })?;
    let operation = app.control.delete(&caller, &id, &confirm, data).await.map_err(refused)?;
    accepted(&app, operation).await
}

fn data(given: Option<&str>) -> Result<Data, Problem> {
    match given {
        None | Some("keep") => Ok(Data::Keep),
        Some("delete") => Ok(Data::Delete),
        Some(_) => {
            let msg = "it is one of 'keep', 'delete'";
            Err(Problem::new(Place::body().at("data"), "value_error", msg, "unknown_data"))
        }
    }
}
