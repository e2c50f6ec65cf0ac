//! `DELETE /v1/memories`

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use memcloud_api::memmachine_v1::ForgetSession;
use memcloud_api::native::Deleted;
use memcloud_api::{Place, Problem};
use memcloud_http::{Allowed, ApiError, TypedBody, Write};
use memcloud_ports::EpisodesOf;

use super::shape::Shapes;
use crate::App;
use crate::api::session::{NamedSession, SessionHeaders, named_twice, names_session};
use crate::params::QueryParams;

/// Says how many messages were deleted where the body must be `null`.
const DELETED: &str = "x-memcloud-deleted";

/// Deletes every message of one session for good. A session without messages is not an error.
///
/// The request must name the session, as `session_id` of its body or in the header `session-id`, and must have no unknown
/// fields. The group is that of the body or of the header `group-id`, or else `default`.
#[utoipa::path(
    delete,
    path = "/v1/memories",
    operation_id = "forget_session",
    tag = "memories",
    params(SessionHeaders),
    request_body = ForgetSession,
    responses(
        (
            status = 200,
            description = "The messages are deleted. Below `/memmachine` the answer is `null`, and the header `x-memcloud-deleted` has the number.",
            body = Option<Deleted>,
        ),
    ),
)]
pub(crate) async fn forget(
    allowed: Allowed<Write>,
    State(app): State<App>,
    State(shapes): State<Shapes>,
    headers: HeaderMap,
    query: QueryParams,
    body: TypedBody<ForgetSession>,
) -> Result<Response, ApiError> {
    let session = body.known_fields_only().checked(|body, problems| {
        query.only(&[], problems);
        if !names_session(&headers, body.session.as_ref()) {
            let at = Place::body().at("session").at("session_id");
            problems.push(Problem::new(at, "missing", "Field required", "session_not_named"));
        }
        if let Some(field) = named_twice(&headers, body.session.as_ref()) {
            let msg = "a header names another one";
            problems.push(Problem::new(
                Place::body().at("session").at(field),
                "value_error",
                msg,
                "session_named_twice",
            ));
        }
        Some(NamedSession::of_request(&headers, body.session, problems))
    })?;
    let of = EpisodesOf::Session(session.name.clone());
    let deleted = app.memory.delete_episodes(&session.space(&allowed)?, &of).await?;
    Ok(match shapes {
        Shapes::AsAsked => (session.echo(), Json(Deleted { deleted })).into_response(),
        Shapes::Original => (session.echo(), [(DELETED, deleted.to_string())], Json(())).into_response(),
    })
}
