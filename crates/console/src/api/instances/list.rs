//! `GET /api/instances`

use axum::extract::State;
use axum::{Extension, Json};
use memcloud_api::Problems;
use memcloud_api::console::Instances;
use memcloud_control::Caller;
use memcloud_http::params::QueryParams;
use memcloud_http::{Allowed, ApiError, Read};

use super::shown;
use crate::App;
use crate::api::params::page;
use crate::error::refused;

/// Lists instances by name. Those that are removed are not in the list.
#[utoipa::path(
    get,
    path = "/api/instances",
    operation_id = "list_instances",
    tag = "instances",
    params(
        ("name" = Option<String>, Query, description = "Only the instance of this name."),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1_000, description = "The most instances of one page. Default: 100."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page.", body = Instances)),
)]
pub(crate) async fn list(
    _: Allowed<Read>,
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    mut query: QueryParams,
) -> Result<Json<Instances>, ApiError> {
    let (name, query) = Problems::none_in(|problems| {
        let name = query.text("name", problems);
        Some((name, page(&mut query, problems)?))
    })?;
    let page = app.control.instances(&caller, name.as_deref(), &query).await.map_err(refused)?;
    let capabilities = app.control.capabilities_of(&page.items).await.map_err(refused)?;
    let instances = page.items.into_iter().zip(capabilities);
    let instances = instances.map(|(instance, capabilities)| shown(instance, capabilities)).collect();
    Ok(Json(Instances { instances, next_cursor: page.next }))
}
