//! `POST /v1/memories/batch`

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use memcloud_api::memmachine_v1::{Batch, NewEpisode, Progress};
use memcloud_api::native::BatchStored;
use memcloud_api::{PrefixedId, Problem, Problems};
use memcloud_domain::Purpose;

use crate::App;
use crate::allowed::{Allowed, Write};
use crate::api::ingest::{Message, Store, StoreHeaders, answer};
use crate::api::responses::StoreErrors;
use crate::api::session::{NamedSession, SessionHeaders, is_named, place_of_item};
use crate::body::TypedBody;
use crate::error::ApiError;

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
    responses((status = 200, description = "All are stored.", body = BatchStored), StoreErrors),
)]
pub(crate) async fn store_batch(
    allowed: Allowed<Write>,
    State(app): State<App>,
    headers: HeaderMap,
    TypedBody { value: batch, source }: TypedBody<Batch>,
) -> Result<Response, ApiError> {
    let since = Instant::now();
    check_count(batch.episodes.len()).map_err(|problem| source.refuse(problem))?;
    let session = Arc::new(session(&headers, &batch).map_err(|problems| source.refuse(problems))?);
    let space = session.space(&allowed)?;
    let messages = messages(&session, batch.episodes).map_err(|problems| source.refuse(problems))?;
    let stored =
        Store { app: &app, headers: &headers, source: &source, space, messages, since }.run().await?;
    let ids = stored.ids.iter().copied().map(PrefixedId).collect();
    Ok(answer(session.echo(), &stored, BatchStored { ids, status: Progress::Stored }))
}

fn check_count(episodes: usize) -> Result<(), Problem> {
    let msg = match episodes {
        0 => "there is no episode".to_owned(),
        1..=MAX_EPISODES => return Ok(()),
        given => format!("there are {given} episodes; the limit is {MAX_EPISODES}"),
    };
    let place = memcloud_api::Place::body().at("episodes");
    Err(Problem::new(place, "value_error", msg, "batch_size_out_of_range"))
}

/// The session of the batch. Where the request names none, it is the one of its first message.
fn session(headers: &HeaderMap, batch: &Batch) -> Result<NamedSession, Problems> {
    match batch.episodes.first() {
        Some(first) if batch.session.is_none() && !is_named(headers) => {
            NamedSession::of_item(headers, first.session.clone(), Some(0))
        }
        _ => NamedSession::of_request(headers, batch.session.clone()),
    }
}

/// The messages, or all of their problems.
fn messages(session: &Arc<NamedSession>, episodes: Vec<NewEpisode>) -> Result<Vec<Message>, Problems> {
    let (mut messages, mut problems) = (vec![], Problems::default());
    for (item, mut episode) in episodes.into_iter().enumerate() {
        let own = match episode.session.take() {
            Some(mut own) => {
                if own.group_id.is_empty() {
                    own.group_id.clone_from(&session.group);
                }
                own_session(session, NamedSession::of_body(own, Some(item)), item).map(Arc::new)
            }
            None => Ok(Arc::clone(session)),
        };
        let message = own.and_then(|own| Ok(Message::read(own, episode, Purpose::Recall, Some(item))?));
        match message {
            Ok(message) => messages.push(message),
            Err(more) => problems.extend(more.into_vec()),
        }
    }
    problems.into_result().map(|()| messages)
}

/// A batch is one transaction, and a transaction is within one group.
fn own_session(session: &NamedSession, own: NamedSession, item: usize) -> Result<NamedSession, Problems> {
    if own.group != session.group {
        let msg = format!("the batch belongs to group '{}'", session.group);
        let place = place_of_item(Some(item)).at("session").at("group_id");
        return Err(Problem::new(place, "value_error", msg, "other_group").into());
    }
    own.checked()
}
