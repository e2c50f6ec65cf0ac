//! `DELETE /api/instances/{id}/keys/{key}`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::native::Key;
use memcloud_api::{Place, Problems};
use memcloud_control::{Caller, InstanceId};
use memcloud_domain::KeyId;
use memcloud_http::params::QueryParams;
use memcloud_http::{Allowed, ApiError, NoBody, Write};

use crate::App;
use crate::api::params::{Named, later};
use crate::api::responses::NotNow;
use crate::error::refused;

/// Revokes a key of an instance: at once, or at a moment until which it and the key that replaces it both work.
#[utoipa::path(
    delete,
    path = "/api/instances/{id}/keys/{key}",
    operation_id = "revoke_key",
    tag = "keys",
    params(
        ("id" = String, Path, description = "The id of the instance."),
        ("key" = String, Path, description = "The id of the key."),
        ("revoke_at" = Option<String>, Query, description = "When. RFC 3339; UTC without a zone. Default: at once."),
    ),
    responses((status = 200, description = "The key, revoked or still live until then.", body = Key), NotNow),
)]
pub(crate) async fn revoke(
    _: Allowed<Write>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named((id, key)): Named<(InstanceId, String)>,
    mut query: QueryParams,
    _: NoBody,
) -> Result<Json<Key>, ApiError> {
    let now = app.clock.now();
    let at = Problems::none_in(|problems| {
        query.only(&["revoke_at"], problems);
        let given = query.text("revoke_at", problems);
        let place = Place::query().at("revoke_at");
        given.map_or(Some(None), |given| problems.take(later(&given, place, now)).map(Some))
    })?;
    let key: KeyId = key.parse().map_err(|_| ApiError::not_found("there is no such key"))?;
    app.control.revoke_key(&caller, &id, key.as_str(), at).await.map(Json).map_err(refused)
}
