//! `GET /v1/memories/profile/queue`

use axum::Json;
use axum::extract::State;
use memcloud_api::native::{ParkedMessage, ProfileQueue};
use memcloud_http::{Allowed, ApiError, Read};
use memcloud_ports::{Parked, Waiting};

use super::spaces;
use crate::App;
use crate::params::QueryParams;

/// The most parked messages that are shown.
const SHOWN: usize = 100;

/// Shows the messages that wait to be learned from, and those that failed.
#[utoipa::path(
    get,
    path = "/v1/memories/profile/queue",
    operation_id = "profile_queue",
    tag = "profile",
    params(("group_id" = Option<String>, Query, description = "The group. Default: all of them.")),
    responses((status = 200, description = "The queue.", body = ProfileQueue)),
)]
pub(crate) async fn queue(
    allowed: Allowed<Read>,
    State(app): State<App>,
    mut query: QueryParams,
) -> Result<Json<ProfileQueue>, ApiError> {
    let (mut all, mut shown) = (Waiting::default(), vec![]);
    for space in spaces(&allowed, &mut query)? {
        let Waiting { waiting, since, parked } = app.memory.engine().learning.waiting(space.as_ref()).await?;
        all.waiting += waiting;
        all.parked += parked;
        all.since = all.since.into_iter().chain(since).min();
        shown.extend(app.memory.engine().learning.parked(space.as_ref(), SHOWN - shown.len()).await?);
    }
    Ok(Json(profile_queue(app.memory.learns(), all, shown)))
}

/// A queue as the API shows it: whether something learns, how much waits, and the first messages that failed.
pub fn profile_queue(learning: bool, waiting: Waiting, parked: Vec<Parked>) -> ProfileQueue {
    ProfileQueue {
        learning,
        waiting: waiting.waiting,
        since: waiting.since.map(|at| at.to_string()),
        parked: waiting.parked,
        parked_messages: parked.into_iter().map(parked_message).collect(),
    }
}

fn parked_message(parked: Parked) -> ParkedMessage {
    ParkedMessage {
        id: parked.episode.into(),
        group_id: parked.target.set.scope.project.clone().unwrap_or_default(),
        user_id: parked.target.set.owner().unwrap_or_default().to_owned(),
        attempts: parked.attempts,
        reason: parked.reason,
    }
}
