//! Spaces: `/v1/spaces` and `/v1/spaces/{org}/{project}`.

pub(crate) mod configure;
pub(crate) mod delete;
pub(crate) mod describe;
pub(crate) mod list;

use memcloud_api::Problems;
use memcloud_api::native::{Space as ShownSpace, SpaceDetails};
use memcloud_domain::{Caller, Space, SpaceInfo};
use memcloud_http::ApiError;
use memcloud_memory::Memory;

use crate::params::PathSpace;

/// The space that a path names, if it is open to the caller.
fn named(caller: &Caller, space: PathSpace) -> Result<Space, ApiError> {
    Ok(caller.enter(Problems::none_in(|problems| space.space(problems))?)?)
}

/// A space with its counts.
async fn details(memory: &Memory, space: &Space) -> Result<SpaceDetails, ApiError> {
    let known = memory.engine().spaces.describe_space(space).await?;
    let (info, counts) = known.ok_or_else(unknown)?;
    Ok(SpaceDetails {
        space: shown(info),
        sessions: counts.sessions,
        episodes: counts.episodes,
        facts: counts.facts,
    })
}

fn shown(info: SpaceInfo) -> ShownSpace {
    ShownSpace {
        org: info.space.org,
        project: info.space.project,
        description: info.description,
        learns: info.learns,
        state: info.state.to_string(),
        created_at: info.created_at.map(|time| time.to_string()),
    }
}

fn unknown() -> ApiError {
    ApiError::not_found("no such space").with_hint("GET /v1/spaces lists the spaces")
}
