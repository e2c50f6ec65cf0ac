//! `GET /v1/memories/profile/queue` and `POST /v1/memories/profile/queue/retry`, additions of ours.

use axum::Json;
use axum::extract::State;
use memcloud_api::PrefixedId;
use memcloud_api::memmachine_v1;
use memcloud_domain::{Caller, Space};
use memcloud_ports::{Parked, Waiting};
use serde::Serialize;
use utoipa::ToSchema;

use super::V1;
use crate::allowed::{Allowed, Read, Write};
use crate::failure::{Failure, FailureBody};
use crate::fields::QueryFields;

/// The most parked messages that are shown.
const SHOWN: usize = 100;

/// What waits to be learned from.
#[derive(Serialize, ToSchema)]
#[schema(as = ProfileQueue)]
pub(super) struct QueueBody {
    /// Whether anything learns: otherwise messages wait until there is a language model.
    learning: bool,
    /// How many messages wait.
    waiting: u64,
    /// Since when the first of them waits; null when none does.
    since: Option<String>,
    /// How many messages are not tried any more.
    parked: u64,
    /// The first hundred of those.
    parked_messages: Vec<ParkedBody>,
}

/// A message that is not tried any more.
#[derive(Serialize, ToSchema)]
#[schema(as = ParkedMessage)]
pub(super) struct ParkedBody {
    /// `episode-` and its UUID.
    id: String,
    /// Its group.
    group_id: String,
    /// Whom it was to be learned about.
    user_id: String,
    /// How often it was tried.
    attempts: u32,
    /// Why the last attempt failed.
    reason: String,
}

/// Says what waits to be learned from, and what could not be. An addition to the first API.
#[utoipa::path(
    get,
    path = "/v1/memories/profile/queue",
    operation_id = "profile_queue",
    tag = "profile",
    params(("group_id" = Option<String>, Query, description = "The group. Default: all of them.")),
    responses(
        (status = 200, description = "What waits.", body = QueueBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn read(
    allowed: Allowed<Read>,
    State(v1): State<V1>,
    mut query: QueryFields,
) -> Result<Json<QueueBody>, Failure> {
    let memory = &v1.app.memory;
    let (mut all, mut shown) = (Waiting::default(), vec![]);
    for space in spaces(&allowed, &mut query)? {
        let Waiting { waiting, since, parked } = memory.waiting(space.as_ref()).await?;
        all.waiting += waiting;
        all.parked += parked;
        all.since = all.since.into_iter().chain(since).min();
        shown.extend(memory.parked(space.as_ref(), SHOWN - shown.len()).await?);
    }
    Ok(Json(QueueBody {
        learning: v1.app.learns,
        waiting: all.waiting,
        since: all.since.map(|at| at.to_string()),
        parked: all.parked,
        parked_messages: shown.into_iter().map(ParkedBody::from).collect(),
    }))
}

/// How many parked messages wait again.
#[derive(Serialize, ToSchema)]
#[schema(as = RetriedMessages)]
pub(super) struct RetriedBody {
    retried: u64,
}

/// Lets messages that are not tried any more be tried anew. An addition to the first API.
#[utoipa::path(
    post,
    path = "/v1/memories/profile/queue/retry",
    operation_id = "retry_profile_queue",
    tag = "profile",
    params(("group_id" = Option<String>, Query, description = "The group. Default: all of them.")),
    responses(
        (status = 200, description = "They wait again.", body = RetriedBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn retry(
    allowed: Allowed<Write>,
    State(v1): State<V1>,
    mut query: QueryFields,
) -> Result<Json<RetriedBody>, Failure> {
    let mut retried = 0;
    for space in spaces(&allowed, &mut query)? {
        retried += v1.app.memory.unpark(space.as_ref()).await?;
    }
    Ok(Json(RetriedBody { retried }))
}

/// The space of the group that is named; else each that is open to the caller, or `None` for all at once.
fn spaces(caller: &Caller, query: &mut QueryFields) -> Result<Vec<Option<Space>>, Failure> {
    Ok(match query.text("group_id")? {
        Some(group) => vec![Some(caller.enter(memmachine_v1::space(group))?)],
        None => match caller.spaces() {
            Some(open) => open.iter().cloned().map(Some).collect(),
            None => vec![None],
        },
    })
}

impl From<Parked> for ParkedBody {
    fn from(parked: Parked) -> Self {
        Self {
            id: PrefixedId(parked.episode).to_string(),
            group_id: parked.subject.space.project,
            user_id: parked.subject.owner,
            attempts: parked.attempts,
            reason: parked.reason,
        }
    }
}
