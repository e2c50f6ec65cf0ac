//! What a request is refused with. An [`ApiError`] knows no wire; a [`Dialect`] writes it in the shape that the clients of
//! an API expect.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::time::Duration;

use axum::Json;
use axum::http::header::{CONNECTION, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use memcloud_api::{Detail, Error as Body, Place, Problem, Problems, StoredOfChat, openai};
use memcloud_domain::{Error, Fault, ForeignSpace, Right, with_causes};
use serde::Serialize;

use crate::hint;
use crate::keys::Stranger;

/// Why a request is refused.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Refused>);

#[derive(Debug)]
struct Refused {
    status: StatusCode,
    code: Cow<'static, str>,
    hint: &'static str,
    detail: Detail,
    header: Option<(HeaderName, HeaderValue)>,
    stored: Option<StoredOfChat>,
}

/// The shape that the clients of an API expect of an error.
pub(crate) trait Dialect {
    /// The status and the body of an error.
    fn render(error: ApiError) -> (StatusCode, impl Serialize);
}

/// The shape of `FastAPI`, which `MemMachine`'s v1 API has, with our `code` and `hint`.
#[derive(Debug)]
pub(crate) enum FastApi {}

/// `OpenAI`'s shape.
#[derive(Debug)]
pub(crate) enum OpenAi {}

/// An error in a dialect.
#[derive(Debug)]
pub(crate) struct In<D>(ApiError, PhantomData<D>);

impl ApiError {
    /// A refusal with a text. Its hint is that of its code.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>, code: &'static str) -> Self {
        let detail = Detail::Text(detail.into());
        Self(Box::new(Refused {
            status,
            code: code.into(),
            hint: hint::of_code(code),
            detail,
            header: None,
            stored: None,
        }))
    }

    /// The same with a more specific hint than that of its code.
    pub(crate) fn with_hint(mut self, hint: &'static str) -> Self {
        self.0.hint = hint;
        self
    }

    fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.header = Some((name, HeaderValue::from_static(value)));
        self
    }

    /// The same with the time to wait before the next request.
    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.0.header = Some((RETRY_AFTER, HeaderValue::from(after.as_secs_f64().ceil().max(1.0) as u64)));
        self
    }

    /// The same with what was stored nevertheless.
    pub(crate) fn with_stored(mut self, stored: StoredOfChat) -> Self {
        self.0.stored = Some(stored);
        self
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "this needs an API key", "unauthorized")
            .with_header(WWW_AUTHENTICATE, "Bearer")
    }

    pub(crate) fn forbidden_right(missing: Right) -> Self {
        let detail = format!("this key lacks the right '{missing}'");
        Self::new(StatusCode::FORBIDDEN, detail, "forbidden_right")
    }

    pub(crate) fn forbidden_host() -> Self {
        let detail = "without an API key this instance answers to the names of this machine only";
        Self::new(StatusCode::FORBIDDEN, detail, "forbidden_host")
    }

    pub(crate) fn forbidden_origin() -> Self {
        let detail = "without an API key this instance does not answer to pages of other sites";
        Self::new(StatusCode::FORBIDDEN, detail, "forbidden_origin")
    }

    pub(crate) fn no_route() -> Self {
        Self::not_found("Not Found").with_hint("GET /openapi.json lists every route")
    }

    pub(crate) fn no_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", "method_not_allowed")
    }

    pub(crate) fn not_found(detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail, "not_found")
    }

    pub(crate) fn body_too_large(limit: usize) -> Self {
        let detail = format!("the body has more than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail, "payload_too_large")
    }

    /// The rest of the body may still arrive later, so the connection is unusable.
    pub(crate) fn body_too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive", "body_timeout")
            .with_header(CONNECTION, "close")
    }

    pub(crate) fn body_broken() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "the body ended early or is malformed", "body_incomplete")
            .with_header(CONNECTION, "close")
    }

    pub(crate) fn probe_too_slow() -> Self {
        let detail = "the memory does not answer in time";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail, "probe_timeout").with_header(RETRY_AFTER, "1")
    }

    /// A defect of the server. The log has the details.
    pub(crate) fn defect() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error", "internal")
    }

    /// The body in our own shape.
    pub(crate) fn into_body(self) -> Body {
        let Refused { code, hint, detail, stored, .. } = *self.0;
        Body { detail, code, hint: hint.into(), stored }
    }

    /// The body in `OpenAI`'s shape.
    pub(crate) fn into_openai(self) -> openai::ErrorBody {
        let Refused { status, code, hint, detail, .. } = *self.0;
        let message = match detail {
            Detail::Problems(problems) => {
                problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
            }
            Detail::Text(text) => text,
        };
        let kind = match status.as_u16() {
            401 => "authentication_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        let message = format!("{message}: {hint}");
        openai::ErrorBody { error: openai::Error { message, kind: kind.into(), param: None, code } }
    }
}

impl From<Problems> for ApiError {
    fn from(problems: Problems) -> Self {
        let problems = problems.into_vec();
        let code = problems.first().map_or("invalid", |problem| problem.code);
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "", code);
        error.0.detail = Detail::Problems(problems);
        error
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Problems::from(problem).into()
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        if let Error::Invalid(broken) = &error {
            return broken.iter().map(|v| Problem::of(v, Place::body())).collect::<Problems>().into();
        }
        let status = match error.fault() {
            Fault::Request => StatusCode::UNPROCESSABLE_ENTITY,
            Fault::Conflict => StatusCode::CONFLICT,
            Fault::Unavailable if matches!(error, Error::StorageFull(_)) => StatusCode::INSUFFICIENT_STORAGE,
            Fault::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Fault::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let refused = Self::new(status, error.to_string(), error.code()).with_hint(hint::hint(&error));
        match error.fault() {
            Fault::Request | Fault::Conflict => refused,
            Fault::Unavailable if matches!(error, Error::Busy) => refused.with_header(RETRY_AFTER, "1"),
            Fault::Unavailable => {
                tracing::warn!(error = with_causes(&error), code = error.code(), "the memory is unavailable");
                refused.with_header(RETRY_AFTER, "1")
            }
            Fault::Internal => {
                tracing::error!(error = with_causes(&error), code = error.code(), "the memory failed");
                refused
            }
        }
    }
}

impl From<Stranger> for ApiError {
    fn from(stranger: Stranger) -> Self {
        let (detail, code) = match stranger {
            Stranger::Unknown | Stranger::Keyless => return Self::unauthorized(),
            Stranger::Unreadable(error) => return error.into(),
            Stranger::Revoked => ("this key was revoked", "key_revoked"),
            Stranger::Expired => ("this key has expired", "key_expired"),
        };
        Self::new(StatusCode::UNAUTHORIZED, detail, code).with_header(WWW_AUTHENTICATE, "Bearer")
    }
}

impl From<ForeignSpace> for ApiError {
    fn from(foreign: ForeignSpace) -> Self {
        Self::new(StatusCode::FORBIDDEN, foreign.to_string(), "forbidden_space")
    }
}

impl Dialect for FastApi {
    fn render(error: ApiError) -> (StatusCode, impl Serialize) {
        (error.0.status, error.into_body())
    }
}

impl Dialect for OpenAi {
    fn render(error: ApiError) -> (StatusCode, impl Serialize) {
        // OpenAI answers 400 to a request that does not validate, and its clients expect that.
        let status = match error.0.status {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            other => other,
        };
        (status, error.into_openai())
    }
}

impl<D, E: Into<ApiError>> From<E> for In<D> {
    fn from(error: E) -> Self {
        Self(error.into(), PhantomData)
    }
}

impl<D: Dialect> IntoResponse for In<D> {
    fn into_response(mut self) -> Response {
        let header = self.0.0.header.take();
        let (status, body) = D::render(self.0);
        let mut response = (status, Json(body)).into_response();
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        In::<FastApi>::from(self).into_response()
    }
}

/// The answer to a request whose handler panicked. The panic itself was reported when it happened.
pub(crate) fn of_panic(_panic: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request's handler panicked");
    ApiError::defect().into_response()
}
