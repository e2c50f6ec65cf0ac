//! `GET /api/operations`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::Problems;
use memcloud_api::console::Operations;
use memcloud_control::{Caller, InstanceId};
use memcloud_http::params::QueryParams;
use memcloud_http::{Allowed, ApiError, Read};

use super::shown;
use crate::App;
use crate::api::params::page;
use crate::error::refused;

/// Lists operations, newest first.
#[utoipa::path(
    get,
    path = "/api/operations",
    operation_id = "list_operations",
    tag = "operations",
    params(
        ("instance" = Option<String>, Query, description = "Only those of the instance with this id."),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1_000, description = "The most operations of one page. Default: 100."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page.", body = Operations)),
)]
pub(crate) async fn list(
    _: Allowed<Read>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    mut query: QueryParams,
) -> Result<Json<Operations>, ApiError> {
    let (instance, query) = Problems::none_in(|problems| {
        let instance = query.text("instance", problems);
        Some((instance, page(&mut query, problems)?))
    })?;
    let Ok(instance) = instance.map(|id| id.parse::<InstanceId>()).transpose() else {
        // No instance has this id, so none has an operation.
        return Ok(Json(Operations { operations: vec![], next_cursor: None }));
    };
    let page = app.control.operations(&caller, instance.as_ref(), &query).await.map_err(refused)?;
    Ok(Json(Operations { operations: page.items.into_iter().map(shown).collect(), next_cursor: page.next }))
}
