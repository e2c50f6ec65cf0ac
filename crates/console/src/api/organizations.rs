//! `POST /api/organizations`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::console::{CreatedOrganization, NewOrganization};
use memcloud_control::Caller;
use memcloud_http::{Admin, Allowed, ApiError, TypedBody};

use super::params::check_name;
use super::sign_in::link_of;
use super::users::{self, MAX_NAME};
use crate::App;
use crate::error::refused;

/// Makes another organization with its first owner, who signs in by the link of the answer. Its users, instances, tokens and audit
/// log are its own. Only owners of the first organization may do this.
#[utoipa::path(
    post,
    path = "/api/organizations",
    operation_id = "create_organization",
    tag = "access",
    request_body = NewOrganization,
    responses(
        (status = 200, description = "The organization.", body = CreatedOrganization),
        (status = 409, description = "Another user of the console has the name.", body = memcloud_api::Error),
    ),
)]
pub(crate) async fn create(
    _: Allowed<Admin>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body: TypedBody<NewOrganization>,
) -> Result<Json<CreatedOrganization>, ApiError> {
    let owner = body.known_fields_only().checked(|body, problems| {
        problems.take(check_name(&body.owner, "owner", MAX_NAME));
        Some(body.owner)
    })?;
    let owner = app.accounts.create_organization(&caller, &owner).await.map_err(refused)?;
    let link = link_of(&app, &owner).await?;
    let (id, owner) = (owner.organization.to_string(), users::shown(owner));
    Ok(Json(CreatedOrganization { id, owner, link }))
}
