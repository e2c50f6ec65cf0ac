//! `DELETE /v1/memories`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use memcloud_ports::Deletion;
use utoipa::ToSchema;

use super::V1;
use super::session::{NamedSession, SessionBody, SessionHeaders};
use crate::allowed::{Allowed, Write};
use crate::body::JsonBody;
use crate::failure::{Failure, FailureBody};

/// What to forget.
#[derive(ToSchema)]
#[schema(as = ForgetSession)]
#[expect(dead_code, reason = "describes what `forget` reads")]
pub(super) struct ForgetBody {
    /// The conversation to forget.
    session: Option<SessionBody>,
}

/// Deletes every message of one session for good. That there is none is no error.
#[utoipa::path(
    delete,
    path = "/v1/memories",
    operation_id = "forget_session",
    tag = "memories",
    params(SessionHeaders),
    request_body = ForgetBody,
    responses(
        (status = 200, description = "They are gone. The answer is `null`.", body = Option<String>),
        (status = 422, description = "The request does not validate.", body = FailureBody),
    ),
)]
pub(super) async fn forget(
    allowed: Allowed<Write>,
    State(v1): State<V1>,
    headers: HeaderMap,
    JsonBody(mut body): JsonBody,
) -> Result<(HeaderMap, Json<()>), Failure> {
    let session = NamedSession::of_request(&headers, &mut body)?;
    v1.app.memory.forget(&session.space(&allowed)?, Deletion::Session(session.name.clone())).await?;
    Ok((session.echo(), Json(())))
}
