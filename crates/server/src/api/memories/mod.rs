//! What our own API adds to the memories of v1.

pub(crate) mod batch;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;

use memcloud_api::{PrefixedId, memmachine_v1};
use memcloud_domain::{Caller, EpisodeId, Space};

use crate::error::ApiError;
use crate::params::{PathId, QueryParams};

/// The group of requests that name none.
const DEFAULT_GROUP: &str = "default";

/// The space of the group that a query string names, if it is open to the caller.
pub(crate) fn space(caller: &Caller, query: &mut QueryParams) -> Result<Space, ApiError> {
    let group = query.text("group_id")?.unwrap_or_else(|| DEFAULT_GROUP.to_owned());
    Ok(caller.enter(memmachine_v1::space(group))?)
}

/// The message that a path and a query string name.
fn named(caller: &Caller, id: PathId, mut query: QueryParams) -> Result<(Space, EpisodeId), ApiError> {
    let PrefixedId(id) = id.parsed(str::parse)?;
    Ok((space(caller, &mut query)?, id))
}

fn no_episode() -> ApiError {
    ApiError::not_found("no such memory in this group")
}
