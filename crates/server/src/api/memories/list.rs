//! `GET /v1/memories`

use axum::extract::State;
use axum::response::Response;
use memcloud_api::Problems;
use memcloud_api::native::{ListedEpisode, Page};
use memcloud_domain::{Episode, EpisodeId, Filter};
use memcloud_http::{Allowed, ApiError, Read};
use memcloud_memory::{ListQuery, ListedPage};
use memcloud_ports::Cursor;

use super::space;
use crate::App;
use crate::api::answer_size::{is_large, json};
use crate::params::QueryParams;

const USUAL_LIMIT: usize = 100;

/// Lists the messages of a group, or of one session of it, oldest first.
///
/// A page of large messages ends before its limit: `next_cursor` says whether more follow.
#[utoipa::path(
    get,
    path = "/v1/memories",
    operation_id = "list_memories",
    tag = "memories",
    params(
        ("group_id" = Option<String>, Query, description = "The group. Default: `default`."),
        ("session_id" = Option<String>, Query, description = "The session. Default: all of the group."),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1_000, description = "The most messages of one page. Default: 100."),
        ("cursor" = Option<String>, Query, pattern = "^[0-9a-fA-F]{48}$", description = "The `next_cursor` of the page before."),
    ),
    responses((status = 200, description = "A page.", body = Page)),
)]
pub(crate) async fn list(
    allowed: Allowed<Read>,
    State(app): State<App>,
    mut query: QueryParams,
) -> Result<Response, ApiError> {
    let memory = &app.memory;
    let query = Problems::none_in(|problems| {
        let limit = query.limit(problems, |given| memory.limits().check_limit(given, USUAL_LIMIT));
        let after = query.cursor(problems, cursor);
        let session = query.text("session_id", problems);
        let (space, limit) = (space(&mut query, problems), limit?);
        Some(ListQuery { space, session, filter: Filter::default(), after, limit })
    })?;
    allowed.enter(query.space.clone())?;
    let ListedPage { episodes, more, held: _held } = memory.list(&query).await?;
    let next_cursor = episodes.last().filter(|_| more).map(written);
    json(&app, is_large(episodes.iter()), || {
        let episodes = episodes.into_iter().map(ListedEpisode::from).collect();
        Page { episodes, next_cursor }
    })
}

/// A cursor as text: the microseconds and the id of the last episode, in hexadecimal digits.
fn written(last: &Episode) -> String {
    let id = u128::from_be_bytes(*last.id.as_bytes());
    format!("{:016x}{id:032x}", last.created_at.as_micros())
}

fn cursor(text: &str) -> Option<Cursor> {
    let is_hex = text.len() == 48 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (created_at, id) = is_hex.then(|| text.split_at(16))?;
    let created_at = u64::from_str_radix(created_at, 16).ok()?.cast_signed();
    let id = EpisodeId::from_bytes(u128::from_str_radix(id, 16).ok()?.to_be_bytes());
    Some(Cursor { created_at, id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursors_are_read_or_refused(text in "[0-9a-f]{48}|.{0,60}") {
            if let Some(read) = cursor(&text) {
                let id = u128::from_be_bytes(*read.id.as_bytes());
                prop_assert_eq!(format!("{:016x}{id:032x}", read.created_at), text.to_lowercase());
            }
        }
    }
}
