//! What our own API adds to the memories of v1.

pub(crate) mod batch;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;

use memcloud_api::{PrefixedId, Problems, memmachine_v1};
use memcloud_domain::{Caller, EpisodeId, Space};
use memcloud_http::ApiError;

use crate::params::{PathId, QueryParams};

/// The group of requests that name none.
const DEFAULT_GROUP: &str = "default";

/// The space of the group that a query string names.
pub(crate) fn space(query: &mut QueryParams, problems: &mut Problems) -> Space {
    memmachine_v1::space(query.text("group_id", problems).unwrap_or_else(|| DEFAULT_GROUP.to_owned()))
}

/// The message that a path and a query string name, if its group is open to the caller.
fn named(caller: &Caller, id: PathId, mut query: QueryParams) -> Result<(Space, EpisodeId), ApiError> {
    let (space, PrefixedId(id)) = Problems::none_in(|problems| {
        let id = id.parsed(problems, str::parse);
        Some((space(&mut query, problems), id?))
    })?;
    Ok((caller.enter(space)?, id))
}

fn no_episode() -> ApiError {
    ApiError::not_found("no such memory in this group")
}
