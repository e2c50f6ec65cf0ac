//! `GET /v1/memories`, an addition of ours.

use axum::Json;
use axum::extract::State;
use memcloud_api::PrefixedId;
use memcloud_api::memmachine_v1;
use memcloud_domain::{Caller, Episode, EpisodeId, Filter, Space};
use memcloud_memory::ListQuery;
use memcloud_ports::Cursor;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::V1;
use super::episode::EpisodeBody;
use crate::allowed::{Allowed, Read};
use crate::failure::{Failure, FailureBody};
use crate::fields::{Place, QueryFields};

const USUAL_LIMIT: usize = 100;

/// Messages, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(as = Page)]
pub(super) struct PageBody {
    /// The messages.
    episodes: Vec<ListedEpisode>,
    /// Where the next page begins, to be given as `cursor`; null on the last page.
    next_cursor: Option<String>,
}

/// A stored message with its id.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedEpisode {
    /// `episode-` and its UUID, as the answer to the store had it.
    id: String,
    #[serde(flatten)]
    episode: EpisodeBody,
}

impl From<Episode> for ListedEpisode {
    fn from(episode: Episode) -> Self {
        Self { id: PrefixedId(episode.id).to_string(), episode: episode.into() }
    }
}

/// Lists the messages of a group, or of one session of it, oldest first. An addition to the first API.
#[utoipa::path(
    get,
    path = "/v1/memories",
    operation_id = "list_memories",
    tag = "memories",
    params(
        ("group_id" = Option<String>, Query, description = "The group. Default: `default`."),
        ("session_id" = Option<String>, Query, description = "The session. Default: all of the group."),
        ("limit" = Option<i64>, Query, description = "The most messages of one page. Default: 100."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
    ),
    responses(
        (status = 200, description = "A page.", body = PageBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn page(
    allowed: Allowed<Read>,
    State(v1): State<V1>,
    mut query: QueryFields,
) -> Result<Json<PageBody>, Failure> {
    let memory = &v1.app.memory;
    let place = Place::query().at("limit");
    let limit = place.limit(query.integer("limit")?, USUAL_LIMIT, memory.limits().results)?;
    let after = query.text("cursor")?.map(|text| cursor(&text)).transpose()?;
    let session = query.text("session_id")?;
    let space = space(&allowed, &mut query)?;
    // One more than asked for tells whether there is a next page.
    let query = ListQuery { space, session, filter: Filter::default(), after, limit: limit + 1 };
    let mut episodes = memory.list(&query).await?;
    let more = episodes.len() > limit;
    episodes.truncate(limit);
    let next_cursor = episodes.last().filter(|_| more).map(written);
    Ok(Json(PageBody { episodes: episodes.into_iter().map(ListedEpisode::from).collect(), next_cursor }))
}

/// The space of the group that a query string names, if it is open to the caller.
pub(super) fn space(caller: &Caller, query: &mut QueryFields) -> Result<Space, Failure> {
    let group = query.text("group_id")?.unwrap_or_else(|| "default".to_owned());
    Ok(caller.enter(memmachine_v1::space(group))?)
}

/// A cursor as text: the microseconds and the id of the last episode, in hexadecimal digits.
fn written(last: &Episode) -> String {
    let id = u128::from_be_bytes(*last.id.as_bytes());
    format!("{:016x}{id:032x}", last.created_at.as_micros())
}

fn cursor(text: &str) -> Result<Cursor, Failure> {
    let read = || {
        let is_hex = text.len() == 48 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (created_at, id) = is_hex.then(|| text.split_at(16))?;
        let created_at = u64::from_str_radix(created_at, 16).ok()?.cast_signed();
        let id = EpisodeId::from_bytes(u128::from_str_radix(id, 16).ok()?.to_be_bytes());
        Some(Cursor { created_at, id })
    };
    read().ok_or_else(|| {
        let hint = "give the next_cursor of the page before, or leave it out to begin";
        let place = Place::query().at("cursor");
        place.wrong("value_error", "this is no cursor", &Value::from(text), "invalid_cursor", hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursors_are_read_or_refused(text in "[0-9a-f]{48}|.{0,60}") {
            if let Ok(read) = cursor(&text) {
                let id = u128::from_be_bytes(*read.id.as_bytes());
                prop_assert_eq!(format!("{:016x}{id:032x}", read.created_at), text.to_lowercase());
            }
        }
    }
}
