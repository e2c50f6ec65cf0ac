//! `GET /v1/memories/profile/queue` and `POST /v1/memories/profile/queue/retry`, additions of ours.

use axum::Json;
use axum::extract::State;
use memcloud_domain::Space;
use memcloud_ports::{Parked, Waiting};
use serde::Serialize;
use utoipa::ToSchema;

use super::V1;
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
    security(("bearer" = []))
)]
pub(super) async fn read(State(v1): State<V1>, mut query: QueryFields) -> Result<Json<QueueBody>, Failure> {
    let group = query.text("group_id")?.map(Space::of_group);
    let memory = &v1.app.memory;
    let Waiting { waiting, since, parked } = memory.waiting(group.as_ref()).await?;
    let shown = memory.parked(group.as_ref(), SHOWN).await?;
    Ok(Json(QueueBody {
        learning: v1.app.learns,
        waiting,
        since: since.map(|at| at.to_string()),
        parked,
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
    security(("bearer" = []))
)]
pub(super) async fn retry(
    State(v1): State<V1>,
    mut query: QueryFields,
) -> Result<Json<RetriedBody>, Failure> {
    let group = query.text("group_id")?.map(Space::of_group);
    Ok(Json(RetriedBody { retried: v1.app.memory.unpark(group.as_ref()).await? }))
}

impl From<Parked> for ParkedBody {
    fn from(parked: Parked) -> Self {
        Self {
            id: parked.episode.prefixed(),
            group_id: parked.subject.space.project,
            user_id: parked.subject.owner,
            attempts: parked.attempts,
            reason: parked.reason,
        }
    }
}
