//! `GET /api/tokens`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::console::Tokens;
use memcloud_control::Caller;
use memcloud_control::access::Identity;
use memcloud_http::{Allowed, ApiError, Read};

use super::{managed, shown};
use crate::App;

/// Lists the API tokens of the caller, and with the right `admin` those of all users of the organization.
#[utoipa::path(
    get,
    path = "/api/tokens",
    operation_id = "list_tokens",
    tag = "access",
    responses((status = 200, description = "The tokens, without their secrets.", body = Tokens)),
)]
pub(crate) async fn list(
    _: Allowed<Read>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(identity): Extension<Identity>,
) -> Result<Json<Tokens>, ApiError> {
    let tokens = managed(&app, &caller, &identity).await?;
    Ok(Json(Tokens { tokens: tokens.into_iter().map(shown).collect() }))
}
