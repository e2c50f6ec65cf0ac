//! What our own API adds to the memories of v1.

pub(crate) mod batch;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;

use memcloud_api::{PrefixedId, Problems, memmachine_v1};
use memcloud_domain::{EpisodeId, Space};
use memcloud_http::ApiError;

use crate::params::{PathId, QueryParams};

/// The group of requests that name none.
const DEFAULT_GROUP: &str = "default";

/// The space of the group that a query string names.
pub(crate) fn space(query: &mut QueryParams, problems: &mut Problems) -> Space {
    memmachine_v1::space(query.text("group_id", problems).unwrap_or_else(|| DEFAULT_GROUP.to_owned()))
}

/// The message that a path and a query string name.
fn named(id: PathId, mut query: QueryParams, problems: &mut Problems) -> Option<(Space, EpisodeId)> {
    let id = id.parsed(problems, str::parse);
    let space = space(&mut query, problems);
    id.map(|PrefixedId(id)| (space, id))
}

fn no_episode() -> ApiError {
    ApiError::not_found("no such memory in this group")
}
