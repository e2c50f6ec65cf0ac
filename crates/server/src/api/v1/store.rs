//! `POST /v1/memories`, and the same for one kind of memory only: `…/episodic` and `…/profile`.

use std::time::Instant;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use memcloud_api::PrefixedId;
use memcloud_domain::{Caller, Purpose};
use serde::Serialize;
use utoipa::ToSchema;

use super::V1;
use super::episode::{self, NewEpisodeBody};
use super::ingest::{self, Incoming, StoreHeaders, answer, keep};
use super::session::{NamedSession, SessionHeaders};
use crate::allowed::{Allowed, Write};
use crate::body::JsonBody;
use crate::failure::{Failure, FailureBody};
use crate::fields::Fields;

/// What was stored.
#[derive(Serialize, ToSchema)]
#[schema(as = Stored)]
pub(super) struct StoredBody {
    /// `episode-` and the episode's UUID.
    id: String,
    /// What became of it.
    status: ingest::State,
}

/// Stores a message. When this answers, it is durable and found by the next search.
#[utoipa::path(
    post,
    path = "/v1/memories",
    operation_id = "store_memory",
    tag = "memories",
    params(SessionHeaders, StoreHeaders),
    request_body = NewEpisodeBody,
    responses(
        (status = 200, description = "It is stored.", body = StoredBody),
        (status = 400, description = "Producer or recipient takes no part in the session.", body = FailureBody),
        (status = 409, description = "The idempotency key came with another request before.", body = FailureBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn store(
    allowed: Allowed<Write>,
    v1: State<V1>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Failure> {
    store_one(&v1, &allowed, &headers, body.0, Purpose::Recall).await
}

/// Stores a message, as `POST /v1/memories` does.
#[utoipa::path(
    post,
    path = "/v1/memories/episodic",
    operation_id = "store_episodic_memory",
    tag = "memories",
    params(SessionHeaders, StoreHeaders),
    request_body = NewEpisodeBody,
    responses(
        (status = 200, description = "It is stored.", body = StoredBody),
        (status = 400, description = "Producer or recipient takes no part in the session.", body = FailureBody),
        (status = 409, description = "The idempotency key came with another request before.", body = FailureBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn store_episodic(
    allowed: Allowed<Write>,
    v1: State<V1>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Failure> {
    store_one(&v1, &allowed, &headers, body.0, Purpose::Recall).await
}

/// Stores a message to be learned from only: it is durable, but no search finds it. Anyone may be its producer.
#[utoipa::path(
    post,
    path = "/v1/memories/profile",
    operation_id = "store_profile_memory",
    tag = "memories",
    params(SessionHeaders, StoreHeaders),
    request_body = NewEpisodeBody,
    responses(
        (status = 200, description = "It is stored, and waits for the profile.", body = StoredBody),
        (status = 409, description = "The idempotency key came with another request before.", body = FailureBody),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn store_profile(
    allowed: Allowed<Write>,
    v1: State<V1>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Failure> {
    store_one(&v1, &allowed, &headers, body.0, Purpose::ProfileOnly).await
}

async fn store_one(
    v1: &V1,
    caller: &Caller,
    headers: &HeaderMap,
    mut body: Fields,
    purpose: Purpose,
) -> Result<Response, Failure> {
    let since = Instant::now();
    let session = NamedSession::of_request(headers, &mut body)?;
    let space = session.space(caller)?;
    let episode = episode::read(body, &session, purpose, v1.app.memory.limits())?;
    let echo = session.echo();
    let stored = keep(v1, headers, space, vec![Incoming { session: session.into(), episode }], since).await?;
    let id = stored.ids.first().map(|id| PrefixedId(*id).to_string()).ok_or_else(Failure::defect)?;
    let status = match purpose {
        Purpose::Recall | Purpose::Transcript => ingest::State::Stored,
        Purpose::ProfileOnly => ingest::State::Queued,
    };
    Ok(answer(echo, &stored, StoredBody { id, status }))
}
