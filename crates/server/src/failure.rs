//! What a request is refused with: always JSON, always with a stable code and a hint.

use std::error::Error as _;
use std::time::Duration;

use axum::http::header::{CONNECTION, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use memcloud_domain::{Error, Fault, ForeignSpace, Right};
use serde::Serialize;
use utoipa::ToSchema;

use crate::fields::{Place, Problem};
use crate::keys::Stranger;

/// A refusal, on its way to becoming an answer.
#[derive(Debug)]
pub(crate) struct Failure(Box<Refusal>);

#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    header: Option<(HeaderName, HeaderValue)>,
    body: FailureBody,
}

/// The body of every answer that is an error.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct FailureBody {
    /// What is wrong.
    detail: Detail,
    /// The stable name of the error, for programs.
    code: &'static str,
    /// What to do next, in one sentence.
    hint: &'static str,
    /// What of a chat was stored all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<Stored>,
}

/// What of a chat was stored although it failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = StoredOfChat)]
pub(crate) struct Stored {
    /// `episode-` and the UUID of what the user said.
    pub(crate) user_message: Option<String>,
    /// The same of what the model had said before it failed.
    pub(crate) assistant_message: Option<String>,
    /// What that was, stored or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<String>,
}

/// What is wrong: for a request that does not validate (422) where and why, else a text.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Detail {
    Problems([Problem; 1]),
    Text(String),
}

impl Failure {
    /// A request that does not validate.
    pub(crate) fn invalid(problem: Problem, code: &'static str, hint: &'static str) -> Self {
        let body = FailureBody { detail: Detail::Problems([problem]), code, hint, stored: None };
        Self(Box::new(Refusal { status: StatusCode::UNPROCESSABLE_ENTITY, header: None, body }))
    }

    /// A refusal that says what is wrong in a text.
    pub(crate) fn text(
        status: StatusCode,
        detail: impl Into<String>,
        code: &'static str,
        hint: &'static str,
    ) -> Self {
        let body = FailureBody { detail: Detail::Text(detail.into()), code, hint, stored: None };
        Self(Box::new(Refusal { status, header: None, body }))
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.header = Some((name, HeaderValue::from_static(value)));
        self
    }

    /// Whoever asks is to wait so long before the next time.
    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.0.header = Some((RETRY_AFTER, HeaderValue::from(after.as_secs_f64().ceil().max(1.0) as u64)));
        self
    }

    /// This was stored all the same.
    pub(crate) fn with_stored(mut self, stored: Stored) -> Self {
        self.0.body.stored = Some(stored);
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    pub(crate) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        self.0.header.clone()
    }

    /// What is wrong, its code and its mend, for other shapes than our own.
    pub(crate) fn told_in_words(&self) -> (String, &'static str, &'static str) {
        let told = match &self.0.body.detail {
            Detail::Problems([problem]) => problem.to_string(),
            Detail::Text(text) => text.clone(),
        };
        (told, self.0.body.code, self.0.body.hint)
    }

    pub(crate) fn unauthorized() -> Self {
        let hint = "send one of the instance's keys as 'Authorization: Bearer <key>'";
        Self::text(StatusCode::UNAUTHORIZED, "this needs an API key", "unauthorized", hint)
            .with(WWW_AUTHENTICATE, "Bearer")
    }

    pub(crate) fn forbidden_right(missing: Right) -> Self {
        let detail = format!("this key lacks the right '{missing}'");
        let hint = "use a key that has it; 'memcloud keys create' makes one";
        Self::text(StatusCode::FORBIDDEN, detail, "forbidden_right", hint)
    }

    pub(crate) fn forbidden_host() -> Self {
        let hint = "call it as localhost or 127.0.0.1, or give the instance a key";
        let detail = "without an API key this instance answers to the names of this machine only";
        Self::text(StatusCode::FORBIDDEN, detail, "forbidden_host", hint)
    }

    pub(crate) fn forbidden_origin() -> Self {
        let hint = "call it from a page on localhost, or give the instance a key";
        let detail = "without an API key this instance answers to no page of another site";
        Self::text(StatusCode::FORBIDDEN, detail, "forbidden_origin", hint)
    }

    pub(crate) fn no_route() -> Self {
        Self::text(StatusCode::NOT_FOUND, "Not Found", "not_found", "GET /openapi.json lists every route")
    }

    pub(crate) fn no_method() -> Self {
        let hint = "the Allow header lists the methods of this route";
        Self::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", "method_not_allowed", hint)
    }

    pub(crate) fn no_fact() -> Self {
        let hint = "check the id, and name the group it was learned in as ?group_id=";
        Self::text(StatusCode::NOT_FOUND, "no such fact in this group", "not_found", hint)
    }

    pub(crate) fn no_episode() -> Self {
        let hint = "check the id, and name the group it was stored in as ?group_id=";
        Self::text(StatusCode::NOT_FOUND, "no such memory in this group", "not_found", hint)
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        let detail = format!("the body has more than {limit} bytes");
        let hint = "send several smaller requests, or raise MEMCLOUD_MAX_BODY_BYTES";
        Self::text(StatusCode::PAYLOAD_TOO_LARGE, detail, "payload_too_large", hint)
    }

    /// The rest of the body may still come one day, so the connection is of no more use.
    pub(crate) fn body_too_slow() -> Self {
        let hint = "send the whole body, as long as Content-Length says";
        Self::text(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive", "body_timeout", hint)
            .with(CONNECTION, "close")
    }

    pub(crate) fn body_broken() -> Self {
        let hint = "send the whole body, as long as Content-Length says";
        Self::text(StatusCode::BAD_REQUEST, "the body ended early or is malformed", "body_incomplete", hint)
            .with(CONNECTION, "close")
    }

    /// Whoever says or hears this takes no part in the session.
    pub(crate) fn not_a_member(detail: String) -> Self {
        let hint = "name producer and produced_for in the session's user_id or agent_id";
        Self::text(StatusCode::BAD_REQUEST, detail, "not_a_member", hint)
    }

    pub(crate) fn probe_too_slow() -> Self {
        let detail = "the memory does not answer in time";
        Self::text(StatusCode::SERVICE_UNAVAILABLE, detail, "probe_timeout", "run 'memcloud doctor'")
            .with(RETRY_AFTER, "1")
    }

    /// A defect of ours; what it is stands in the log only.
    pub(crate) fn defect() -> Self {
        let hint = "see the server's log, and report it";
        Self::text(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error", "internal", hint)
    }

    pub(crate) fn into_body(self) -> FailureBody {
        self.0.body
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.fault() {
            Fault::Request => match &error {
                Error::Invalid(violations) if !violations.is_empty() => {
                    Place::of(&violations[0]).refuse(&violations[0], &serde_json::Value::Null)
                }
                _ => Self::told(StatusCode::UNPROCESSABLE_ENTITY, &error),
            },
            Fault::Conflict => Self::told(StatusCode::CONFLICT, &error),
            Fault::Unavailable => {
                tracing::warn!(error = chain(&error), code = error.code(), "the memory is unavailable");
                let full = matches!(error, Error::StorageFull(_));
                let status =
                    if full { StatusCode::INSUFFICIENT_STORAGE } else { StatusCode::SERVICE_UNAVAILABLE };
                Self::told(status, &error).with(RETRY_AFTER, "1")
            }
            Fault::Internal => {
                tracing::error!(error = chain(&error), code = error.code(), "the memory failed");
                Self::told(StatusCode::INTERNAL_SERVER_ERROR, &error)
            }
        }
    }
}

impl From<Stranger> for Failure {
    fn from(stranger: Stranger) -> Self {
        let (detail, code, hint) = match stranger {
            Stranger::Unknown | Stranger::Keyless => return Self::unauthorized(),
            Stranger::Unreadable(error) => return error.into(),
            Stranger::Revoked => ("this key was revoked", "key_revoked", "use another key"),
            Stranger::Expired => {
                ("this key has expired", "key_expired", "use another key, or make a new one")
            }
        };
        Self::text(StatusCode::UNAUTHORIZED, detail, code, hint).with(WWW_AUTHENTICATE, "Bearer")
    }
}

impl From<ForeignSpace> for Failure {
    fn from(foreign: ForeignSpace) -> Self {
        let hint = "name a group that the key opens, or use another key";
        Self::text(StatusCode::FORBIDDEN, foreign.to_string(), "forbidden_space", hint)
    }
}

impl Failure {
    fn told(status: StatusCode, error: &Error) -> Self {
        Self::text(status, error.to_string(), error.code(), crate::hint::hint(error))
    }
}

/// An error with all its causes, for the log.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.0.status, axum::Json(self.0.body)).into_response();
        if let Some((name, value)) = self.0.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// What a panic inside a handler is answered with. The panic itself was reported when it happened.
pub(crate) fn of_panic(_panic: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request's handler panicked");
    Failure::defect().into_response()
}
