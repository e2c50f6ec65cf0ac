//! `POST /api/instances/{id}/upgrade`

use axum::Extension;
use axum::extract::State;
use memcloud_api::console::{Accepted, Upgrade};
use memcloud_control::{Caller, InstanceId, OperationKind};
use memcloud_domain::Right;
use memcloud_http::{Allowed, TypedBody, Write};
use serde_json::json;

use super::{Begun, begin};
use crate::App;
use crate::api::params::Named;
use crate::api::responses::NotNow;
use crate::error::refused;
use crate::guard::no_scope;

/// Moves an instance to another program, and back when its verification fails.
///
/// The program is the console's own. Another one is run for owners of the first organization only: `program` needs the right `admin`
/// in addition.
#[utoipa::path(
    post,
    path = "/api/instances/{id}/upgrade",
    operation_id = "upgrade_instance",
    tag = "instances",
    params(("id" = String, Path, description = "The id of the instance.")),
    request_body = Upgrade,
    responses((status = 202, description = "The instance and its operation.", body = Accepted), NotNow),
)]
pub(crate) async fn upgrade(
    allowed: Allowed<Write>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<InstanceId>,
    body: TypedBody<Upgrade>,
) -> Begun {
    let Upgrade { program } = body.known_fields_only().checked(|body, _| Some(body))?;
    if program.is_some() {
        // A caller that names a program runs it on the console's machine.
        if !allowed.may(Right::Admin) {
            return Err(no_scope(Right::Admin));
        }
        app.accounts.require_first_organization(&caller).await.map_err(refused)?;
    }
    begin(&app, &caller, &id, OperationKind::Upgrade, json!({"program": program})).await
}
