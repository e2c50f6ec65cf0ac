//! `GET /v1/memories/profile`

use axum::Json;
use axum::extract::State;
use memcloud_api::Problems;
use memcloud_api::memmachine_v1::Fact;
use memcloud_api::native::Facts;
use memcloud_http::{Allowed, ApiError, Read};
use memcloud_ports::FactsOf;

use crate::App;
use crate::api::memories::space;
use crate::params::QueryParams;

/// Lists the facts about people of a group: those that hold now, or those that held at some time.
#[utoipa::path(
    get,
    path = "/v1/memories/profile",
    operation_id = "list_facts",
    tag = "profile",
    params(
        ("group_id" = Option<String>, Query, description = "The group. Default: `default`."),
        ("user_id" = Option<String>, Query, description = "The person that the facts are about. Default: everyone."),
        ("as_of" = Option<String>, Query, format = DateTime, description = "A time: the facts that held then. RFC 3339; UTC without a zone."),
    ),
    responses((status = 200, description = "The facts.", body = Facts)),
)]
pub(crate) async fn list(
    allowed: Allowed<Read>,
    State(app): State<App>,
    mut query: QueryParams,
) -> Result<Json<Facts>, ApiError> {
    let (owner, as_of, space) = Problems::none_in(|problems| {
        let owner = query.text("user_id", problems);
        let as_of = query.parsed("as_of", problems, str::parse);
        Some((owner, as_of, space(&mut query, problems)))
    })?;
    let space = allowed.enter(space)?;
    let of = owner.map_or_else(|| FactsOf::space(&space), |owner| FactsOf::owners(&space, [owner]));
    let facts = app.memory.facts(&FactsOf { as_of, ..of }).await?;
    Ok(Json(Facts { facts: facts.into_iter().map(|fact| Fact::new(fact, None)).collect() }))
}
