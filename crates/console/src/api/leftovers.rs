//! `GET /api/leftovers`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::console::{Leftover, Leftovers};
use memcloud_control::Caller;
use memcloud_http::{Admin, Allowed, ApiError};

use crate::App;
use crate::error::refused;

/// Lists folders, processes and ports of the console's machine that belong to no instance: those of the organization, and for the
/// first organization also those whose owner is not known.
#[utoipa::path(
    get,
    path = "/api/leftovers",
    operation_id = "list_leftovers",
    tag = "console",
    responses((status = 200, description = "What was found.", body = Leftovers)),
)]
pub(crate) async fn leftovers(
    _: Allowed<Admin>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Leftovers>, ApiError> {
    let found = app.control.leftovers(&caller).await.map_err(refused)?;
    let shown = |leftover: memcloud_control::targets::Leftover| Leftover {
        kind: leftover.kind.to_string(),
        place: leftover.place,
        reason: leftover.reason,
        hint: leftover.hint,
    };
    Ok(Json(Leftovers { leftovers: found.into_iter().map(shown).collect() }))
}
