//! `POST /api/instances`

use axum::Extension;
use axum::extract::State;
use memcloud_api::console::{Accepted, NewInstance};
use memcloud_control::Caller;
use memcloud_http::{Allowed, TypedBody, Write};

use super::{Begun, accepted, new_instance};
use crate::App;
use crate::error::refused;

/// Makes an instance.
///
/// It is `queued` when this answers, and `running` when it is made, started and verified. The answer names the operation that does
/// it. Unknown fields are refused.
#[utoipa::path(
    post,
    path = "/api/instances",
    operation_id = "create_instance",
    tag = "instances",
    request_body = NewInstance,
    responses(
        (status = 202, description = "The instance and its operation.", body = Accepted),
        (status = 409, description = "Another instance has the name.", body = memcloud_api::Error),
    ),
)]
pub(crate) async fn create(
    _: Allowed<Write>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: TypedBody<NewInstance>,
) -> Begun {
    let new = body.known_fields_only().checked(new_instance)?;
    let (_, operation) = app.control.create(&caller, new).await.map_err(refused)?;
    accepted(&app, operation).await
}
