//! `GET /api/leftovers`

use axum::Json;
use axum::extract::State;
use memcloud_api::console::{Leftover, Leftovers};
use memcloud_http::{Admin, Allowed, ApiError};

use crate::App;
use crate::error::refused;

/// Lists folders, processes and ports of the console's machine that belong to no instance.
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
) -> Result<Json<Leftovers>, ApiError> {
    let found = app.control.leftovers().await.map_err(refused)?;
    let shown = |leftover: memcloud_control::targets::Leftover| Leftover {
        kind: leftover.kind.to_string(),
        place: leftover.place,
        reason: leftover.reason,
        hint: leftover.hint,
    };
    Ok(Json(Leftovers { leftovers: found.into_iter().map(shown).collect() }))
}
