//! `GET /v1/spaces/{org}/{project}`

use axum::Json;
use axum::extract::State;
use memcloud_api::native::SpaceDetails;
use memcloud_http::{Allowed, ApiError, Read};

use super::{details, named};
use crate::App;
use crate::api::responses::NotFound;
use crate::params::PathSpace;

/// Describes a space and counts what it holds.
#[utoipa::path(
    get,
    path = "/v1/spaces/{org}/{project}",
    operation_id = "describe_space",
    tag = "spaces",
    params(PathSpace),
    responses(
        (status = 200, description = "The space.", body = SpaceDetails),
        NotFound,
    ),
)]
pub(crate) async fn describe(
    allowed: Allowed<Read>,
    State(app): State<App>,
    space: PathSpace,
) -> Result<Json<SpaceDetails>, ApiError> {
    let space = named(&allowed, space)?;
    details(&app.memory, &space).await.map(Json)
}
