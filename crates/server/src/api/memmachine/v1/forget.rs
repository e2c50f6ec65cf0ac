//! `DELETE /v1/memories`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use memcloud_api::memmachine_v1::ForgetSession;
use memcloud_http::{Allowed, ApiError, TypedBody, Write};
use memcloud_ports::Deletion;

use crate::App;
use crate::api::session::{NamedSession, SessionHeaders};

/// Deletes every message of one session for good. A session without messages is not an error.
#[utoipa::path(
    delete,
    path = "/v1/memories",
    operation_id = "forget_session",
    tag = "memories",
    params(SessionHeaders),
    request_body = ForgetSession,
    responses((status = 200, description = "They are gone. The answer is `null`.", body = Option<String>)),
)]
pub(crate) async fn forget(
    allowed: Allowed<Write>,
    State(app): State<App>,
    headers: HeaderMap,
    body: TypedBody<ForgetSession>,
) -> Result<(HeaderMap, Json<()>), ApiError> {
    let session =
        body.checked(|body, problems| Some(NamedSession::of_request(&headers, body.session, problems)))?;
    app.memory
        .engine()
        .episodes
        .delete(&session.space(&allowed)?, Deletion::Session(session.name.clone()))
        .await?;
    Ok((session.echo(), Json(())))
}
