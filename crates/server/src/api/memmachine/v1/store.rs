//! `POST /v1/memories`, and the same for one kind of memory only: `…/episodic` and `…/profile`.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use memcloud_api::memmachine_v1::{NewEpisode, Progress, Stored};
use memcloud_domain::{Caller, Purpose};
use memcloud_http::{Allowed, ApiError, TypedBody, Write};

use crate::App;
use crate::api::ingest::{Message, Store, StoreHeaders, answer};
use crate::api::responses::StoreErrors;
use crate::api::session::{NamedSession, SessionHeaders};

/// Stores a message. After the answer it is durable, and the next search finds it.
#[utoipa::path(
    post,
    path = "/v1/memories",
    operation_id = "store_memory",
    tag = "memories",
    params(SessionHeaders, StoreHeaders),
    request_body = NewEpisode,
    responses((status = 200, description = "The message is stored.", body = Stored), StoreErrors),
)]
pub(crate) async fn store(
    allowed: Allowed<Write>,
    app: State<App>,
    headers: HeaderMap,
    body: TypedBody<NewEpisode>,
) -> Result<Response, ApiError> {
    store_one(&app, &allowed, &headers, body, Purpose::Recall).await
}

/// Stores a message, as `POST /v1/memories` does.
#[utoipa::path(
    post,
    path = "/v1/memories/episodic",
    operation_id = "store_episodic_memory",
    tag = "memories",
    params(SessionHeaders, StoreHeaders),
    request_body = NewEpisode,
    responses((status = 200, description = "The message is stored.", body = Stored), StoreErrors),
)]
pub(crate) async fn store_episodic(
    allowed: Allowed<Write>,
    app: State<App>,
    headers: HeaderMap,
    body: TypedBody<NewEpisode>,
) -> Result<Response, ApiError> {
    store_one(&app, &allowed, &headers, body, Purpose::Recall).await
}

/// Stores a message to learn facts from. It is durable, but no search finds it. Anyone may be its producer.
#[utoipa::path(
    post,
    path = "/v1/memories/profile",
    operation_id = "store_profile_memory",
    tag = "memories",
    params(SessionHeaders, StoreHeaders),
    request_body = NewEpisode,
    responses((status = 200, description = "The message is stored, and waits to be learned from.", body = Stored), StoreErrors),
)]
pub(crate) async fn store_profile(
    allowed: Allowed<Write>,
    app: State<App>,
    headers: HeaderMap,
    body: TypedBody<NewEpisode>,
) -> Result<Response, ApiError> {
    store_one(&app, &allowed, &headers, body, Purpose::ProfileOnly).await
}

async fn store_one(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    body: TypedBody<NewEpisode>,
    purpose: Purpose,
) -> Result<Response, ApiError> {
    let (since, limits) = (Instant::now(), app.memory.limits());
    let (echo, store) = body.checked(|mut new, problems| {
        let session = Arc::new(NamedSession::of_request(headers, new.session.take(), problems));
        let message = Message::read(Arc::clone(&session), new, purpose, None, problems);
        Some((session.echo(), Store::read(limits, headers, &session, vec![message], problems)?))
    })?;
    let stored = store.run(app, caller, since).await?;
    let id = *stored.ids.first().ok_or_else(ApiError::defect)?;
    let status = match purpose {
        Purpose::Recall | Purpose::Transcript => Progress::Stored,
        Purpose::ProfileOnly => Progress::Queued,
    };
    Ok(answer(echo, &stored, Stored { id: id.into(), status }))
}
