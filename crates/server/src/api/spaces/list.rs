//! `GET /v1/spaces`

use axum::Json;
use axum::extract::State;
use memcloud_api::Problems;
use memcloud_api::native::Spaces;
use memcloud_domain::{Caller, Error, Space, SpaceInfo};
use memcloud_http::{Allowed, ApiError, Read};
use memcloud_memory::Memory;

use super::shown;
use crate::App;
use crate::params::QueryParams;

const USUAL_LIMIT: usize = 100;

/// Lists spaces by organization and project. A caller that is limited to some spaces sees those.
#[utoipa::path(
    get,
    path = "/v1/spaces",
    operation_id = "list_spaces",
    tag = "spaces",
    params(
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1_000, description = "The most spaces of one page. Default: 100."),
        ("cursor" = Option<String>, Query, pattern = "/", description = "The `next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page.", body = Spaces)),
)]
pub(crate) async fn list(
    allowed: Allowed<Read>,
    State(app): State<App>,
    mut query: QueryParams,
) -> Result<Json<Spaces>, ApiError> {
    let (limit, after) = Problems::none_in(|problems| {
        let limit = query.limit(problems, |given| app.memory.limits().check_limit(given, USUAL_LIMIT));
        let after = query.cursor(problems, cursor);
        Some((limit?, after))
    })?;
    // One more than the page says whether there is a next page.
    let mut spaces = visible(&allowed, &app.memory, after.as_ref(), limit + 1).await?;
    let more = spaces.len() > limit;
    spaces.truncate(limit);
    let next_cursor = spaces.last().filter(|_| more).map(|last| last.space.to_string());
    Ok(Json(Spaces { spaces: spaces.into_iter().map(shown).collect(), next_cursor }))
}

async fn visible(
    caller: &Caller,
    memory: &Memory,
    after: Option<&Space>,
    limit: usize,
) -> Result<Vec<SpaceInfo>, Error> {
    let store = &memory.engine().spaces;
    let Some(open) = caller.spaces() else { return store.spaces(after, limit).await };
    let mut open: Vec<&Space> =
        open.iter().filter(|space| after.is_none_or(|after| *space > after)).collect();
    open.sort_unstable();
    open.dedup();
    let mut spaces = Vec::new();
    for space in open {
        if spaces.len() == limit {
            break;
        }
        spaces.extend(store.describe_space(space).await?.map(|(info, _)| info));
    }
    Ok(spaces)
}

/// A cursor is the name of the last space: the organization has no slash.
fn cursor(text: &str) -> Option<Space> {
    text.split_once('/').map(|(org, project)| Space::new(org, project))
}
