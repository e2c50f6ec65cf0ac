//! What our own API adds to the profile of v1: facts, and the queue of messages to learn from.

pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod queue;
pub(crate) mod retry;

use memcloud_api::{Problems, memmachine_v1};
use memcloud_domain::{Caller, Space};
use memcloud_http::ApiError;

use crate::params::QueryParams;

/// The space of the group that is named; else each that is open to the caller, or `None` for all at once.
fn spaces(caller: &Caller, query: &mut QueryParams) -> Result<Vec<Option<Space>>, ApiError> {
    Ok(match Problems::none_in(|problems| Some(query.text("group_id", problems)))? {
        Some(group) => vec![Some(caller.enter(memmachine_v1::space(group))?)],
        None => match caller.spaces() {
            Some(open) => open.iter().cloned().map(Some).collect(),
            None => vec![None],
        },
    })
}
