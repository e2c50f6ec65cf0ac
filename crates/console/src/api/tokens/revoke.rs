//! `DELETE /api/tokens/{id}`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::console::Token;
use memcloud_control::access::Identity;
use memcloud_control::{Caller, Error, TokenId};
use memcloud_http::{Allowed, ApiError, NoBody, Read};

use super::{managed, shown};
use crate::App;
use crate::api::params::{Named, NoQuery};
use crate::api::responses::NotFound;
use crate::error::refused;

/// Revokes an API token for good: one's own, and with the right `admin` any of the organization. What it has begun goes on.
#[utoipa::path(
    delete,
    path = "/api/tokens/{id}",
    operation_id = "revoke_token",
    tag = "access",
    params(("id" = String, Path, description = "The id of the token.")),
    responses((status = 200, description = "The token, which opens nothing any more.", body = Token), NotFound),
)]
pub(crate) async fn revoke(
    _: Allowed<Read>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(identity): Extension<Identity>,
    Named(id): Named<TokenId>,
    _: NoQuery,
    _: NoBody,
) -> Result<Json<Token>, ApiError> {
    let mut known = managed(&app, &caller, &identity).await?;
    let position = known.iter().position(|token| token.id == id);
    let mut token = known.swap_remove(position.ok_or_else(|| refused(Error::NotFound("token")))?);
    app.accounts.revoke_token(&caller, &id).await.map_err(refused)?;
    token.revoked_at.get_or_insert(app.clock.now());
    Ok(Json(shown(token)))
}
