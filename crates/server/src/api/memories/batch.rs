//! `POST /v1/memories/batch`

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use memcloud_api::memmachine_v1::{Batch, NewEpisode, Progress, Session};
use memcloud_api::native::BatchStored;
use memcloud_api::{Place, PrefixedId, Problem, Problems};
use memcloud_domain::Purpose;
use memcloud_http::{Allowed, ApiError, TypedBody, Write};

use crate::App;
use crate::api::ingest::{Message, Store, StoreHeaders, answer};
use crate::api::responses::StoreErrors;
use crate::api::session::{NamedSession, SessionHeaders, is_named, place_of_item};

/// The most messages of one batch.
const MAX_EPISODES: usize = 1_000;

/// Stores messages of one group, all or none.
#[utoipa::path(
    post,
    path = "/v1/memories/batch",
    operation_id = "store_batch",
    tag = "memories",
    params(SessionHeaders, StoreHeaders),
    request_body = Batch,
    responses((status = 200, description = "All messages are stored.", body = BatchStored), StoreErrors),
)]
pub(crate) async fn store_batch(
    allowed: Allowed<Write>,
    State(app): State<App>,
    headers: HeaderMap,
    body: TypedBody<Batch>,
) -> Result<Response, ApiError> {
    let (since, limits) = (Instant::now(), app.memory.limits());
    let (echo, store) = body.checked(|batch, problems| {
        problems.take(check_count(batch.episodes.len()))?;
        let session = Arc::new(session(&headers, &batch, problems));
        let messages = messages(&session, batch.episodes, problems);
        Some((session.echo(), Store::read(limits, &headers, &session, messages, problems)?))
    })?;
    let stored = store.run(&app, &allowed, since).await?;
    let ids = stored.ids.iter().copied().map(PrefixedId).collect();
    Ok(answer(echo, &stored, BatchStored { ids, status: Progress::Stored }))
}

fn check_count(episodes: usize) -> Result<(), Problem> {
    let msg = match episodes {
        0 => "there is no episode".to_owned(),
        1..=MAX_EPISODES => return Ok(()),
        given => format!("there are {given} episodes; the limit is {MAX_EPISODES}"),
    };
    Err(Problem::new(Place::body().at("episodes"), "value_error", msg, "batch_size_out_of_range"))
}

/// The session of the batch. Where the request names none, it is the one of its first message.
fn session(headers: &HeaderMap, batch: &Batch, problems: &mut Problems) -> NamedSession {
    match batch.episodes.first() {
        Some(first) if batch.session.is_none() && !is_named(headers) => {
            NamedSession::of_item(headers, first.session.clone(), Some(0), problems)
        }
        _ => NamedSession::of_request(headers, batch.session.clone(), problems),
    }
}

fn messages(session: &Arc<NamedSession>, episodes: Vec<NewEpisode>, problems: &mut Problems) -> Vec<Message> {
    let message = |(item, mut episode): (usize, NewEpisode)| {
        let session = match episode.session.take() {
            Some(own) => Arc::new(own_session(session, own, item, problems)),
            None => Arc::clone(session),
        };
        Message::read(session, episode, Purpose::Recall, Some(item), problems)
    };
    episodes.into_iter().enumerate().map(message).collect()
}

/// A batch is one transaction, and a transaction is within one group.
fn own_session(
    session: &NamedSession,
    mut own: Session,
    item: usize,
    problems: &mut Problems,
) -> NamedSession {
    if own.group_id.is_empty() {
        own.group_id.clone_from(&session.group);
    } else if own.group_id != session.group && !problems.touch(&session.place_in_body()) {
        let msg = format!("the batch belongs to group '{}'", session.group);
        let place = place_of_item(Some(item)).at("session").at("group_id");
        problems.push(Problem::new(place, "value_error", msg, "other_group"));
    }
    let own = NamedSession::of_body(own, Some(item), problems);
    own.check_count(problems);
    own
}
