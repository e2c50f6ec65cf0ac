//! What a request is refused with. An [`ApiError`] knows no wire and no server: `write_errors` writes it in the
//! [`Dialect`] that the clients of an API expect, with the hints of the server that refuses.

use std::any::Any;
use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::http::header::{CONNECTION, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use memcloud_api::{Detail, Error as Body, Place, Problem, Problems, StoredOfChat, openai};
use memcloud_domain::{Database, DatabaseErrorKind, Error, Fault, ForeignSpace, Right, with_causes};
use serde_json::Value;

use crate::repeats::Repeats;

/// Requests that were refused since the last line of the log, because the memory is unavailable, by code. For the whole
/// process, as the log is.
static UNAVAILABLE: Repeats<&'static str, String> = Repeats::new();

/// Logs how many requests were refused since the last line, because the memory is unavailable.
pub fn log_unavailable() {
    for (code, refused, error) in UNAVAILABLE.rest() {
        warn_unavailable(&error, code, refused);
    }
}

fn warn_unavailable(error: &str, code: &str, refused: u64) {
    tracing::warn!(error, code, refused, "the memory is unavailable");
}

/// Why a request is refused.
#[derive(Clone, Debug)]
pub struct ApiError(Box<Refused>);

#[derive(Clone, Debug)]
struct Refused {
    status: StatusCode,
    code: &'static str,
    /// `None` for that of the code.
    hint: Option<Cow<'static, str>>,
    database: Option<(Database, DatabaseErrorKind)>,
    detail: Detail,
    header: Option<(HeaderName, HeaderValue)>,
    stored: Option<StoredOfChat>,
}

/// A server's hint for the error of this code, and of this database if a database caused it.
pub type Hints = fn(code: &str, database: Option<(Database, DatabaseErrorKind)>) -> &'static str;

/// The shape that the clients of an API expect of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The shape of `FastAPI`, which `MemMachine`'s v1 API has, with our `code` and `hint`.
    FastApi,
    /// The same without the values that were sent, some of which are secrets.
    WithoutInput,
    /// `OpenAI`'s shape.
    OpenAi,
}

impl ApiError {
    /// A refusal with a text. Its hint is that of its code.
    pub fn new(status: StatusCode, detail: impl Into<String>, code: &'static str) -> Self {
        let detail = Detail::Text(detail.into());
        Self(Box::new(Refused {
            status,
            code,
            hint: None,
            database: None,
            detail,
            header: None,
            stored: None,
        }))
    }

    /// The same error with a more specific hint than that of its code.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.header = Some((name, HeaderValue::from_static(value)));
        self
    }

    /// The same error with the time to wait before the next request.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.header = Some((RETRY_AFTER, HeaderValue::from(after.as_secs_f64().ceil().max(1.0) as u64)));
        self
    }

    /// The same error with what was stored nevertheless.
    #[must_use]
    pub fn with_stored(mut self, stored: StoredOfChat) -> Self {
        self.0.stored = Some(stored);
        self
    }

    /// The caller shows no key that counts, for this reason.
    pub fn unauthorized(detail: &'static str, code: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail, code).with_header(WWW_AUTHENTICATE, "Bearer")
    }

    /// The caller shows no key, or an unknown one.
    pub fn no_key() -> Self {
        Self::unauthorized("this needs an API key", "unauthorized")
    }

    /// The caller's key lacks a right.
    pub fn forbidden_right(missing: Right) -> Self {
        let detail = format!("this key lacks the right '{missing}'");
        Self::new(StatusCode::FORBIDDEN, detail, "forbidden_right")
    }

    /// No route has this path.
    pub fn no_route() -> Self {
        Self::not_found("Not Found").with_hint("GET /openapi.json lists every route")
    }

    /// The route does not have this method.
    pub fn no_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", "method_not_allowed")
    }

    /// The thing that the request names does not exist.
    pub fn not_found(detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail, "not_found")
    }

    /// Nothing says which of several values of a header counts, so none does.
    pub(crate) fn repeated_header(name: &HeaderName) -> Self {
        let detail = format!("the header '{name}' is there more than once");
        Self::new(StatusCode::BAD_REQUEST, detail, "repeated_header").with_header(CONNECTION, "close")
    }

    /// HTTP/1.1 requires one (RFC 9112, section 3.2).
    pub(crate) fn no_host() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "the header 'host' is missing", "missing_host")
            .with_hint("send the name of the server as 'Host'")
            .with_header(CONNECTION, "close")
    }

    pub(crate) fn unknown_transfer() -> Self {
        let detail = "the only transfer encoding that this server reads is 'chunked'";
        Self::new(StatusCode::BAD_REQUEST, detail, "unknown_transfer_encoding")
            .with_header(CONNECTION, "close")
    }

    pub(crate) fn encoded_body() -> Self {
        let detail = "this server reads bodies without a content encoding";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail, "unsupported_encoding")
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

    /// All connections are being answered, and the last places are kept for others.
    pub fn no_room() -> Self {
        let detail = "too many requests are being answered";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail, "too_many_connections")
            .with_header(RETRY_AFTER, "1")
    }

    /// A defect of the server. The log has the details.
    pub fn defect() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error", "internal")
    }

    /// The body in our own shape.
    pub fn into_body(self, hints: Hints) -> Body {
        let Refused { code, hint, database, detail, stored, .. } = *self.0;
        let hint = hint.unwrap_or_else(|| hints(code, database).into());
        Body { detail, code: code.into(), hint: hint.into(), stored }
    }

    /// The body in `OpenAI`'s shape.
    pub fn into_openai(self, hints: Hints) -> openai::ErrorBody {
        let status = self.0.status;
        let Body { detail, code, hint, .. } = self.into_body(hints);
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
        problems.into_vec().into()
    }
}

impl From<Vec<Problem>> for ApiError {
    fn from(problems: Vec<Problem>) -> Self {
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
        let mut refused = Self::new(status, error.to_string(), error.code());
        if let Error::Database { database, kind, .. } = &error {
            refused.0.database = Some((*database, *kind));
        }
        match error.fault() {
            Fault::Request | Fault::Conflict => refused,
            Fault::Unavailable if matches!(error, Error::Busy) => refused.with_header(RETRY_AFTER, "1"),
            Fault::Unavailable => {
                let code = error.code();
                if let Some(error) = UNAVAILABLE.note(code, with_causes(&error)) {
                    warn_unavailable(&error, code, 1);
                }
                refused.with_header(RETRY_AFTER, "1")
            }
            Fault::Internal => {
                tracing::error!(error = with_causes(&error), code = error.code(), "the memory failed");
                refused
            }
        }
    }
}

impl From<ForeignSpace> for ApiError {
    fn from(foreign: ForeignSpace) -> Self {
        Self::new(StatusCode::FORBIDDEN, foreign.to_string(), "forbidden_space")
    }
}

impl IntoResponse for ApiError {
    /// The head of the answer; `write_errors` writes its body.
    fn into_response(mut self) -> Response {
        let mut response = self.0.status.into_response();
        if let Some((name, value)) = self.0.header.take() {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the errors of all routes below in a dialect.
pub(crate) fn write_errors(mut response: Response, dialect: Dialect, hints: Hints) -> Response {
    let Some(error) = response.extensions_mut().remove::<ApiError>() else { return response };
    let status = response.status();
    let mut written = match dialect {
        Dialect::FastApi => (status, Json(error.into_body(hints))).into_response(),
        Dialect::WithoutInput => (status, Json(without_input(error.into_body(hints)))).into_response(),
        // OpenAI answers 400 to a request that does not validate, and its clients expect that.
        Dialect::OpenAi if status == StatusCode::UNPROCESSABLE_ENTITY => {
            (StatusCode::BAD_REQUEST, Json(error.into_openai(hints))).into_response()
        }
        Dialect::OpenAi => (status, Json(error.into_openai(hints))).into_response(),
    };
    for name in [CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE] {
        if let Some(value) = response.headers_mut().remove(&name) {
            written.headers_mut().insert(name, value);
        }
    }
    written
}

fn without_input(mut body: Body) -> Body {
    if let Detail::Problems(problems) = &mut body.detail {
        for problem in problems {
            *problem.input = Value::Null;
        }
    }
    body
}

/// The answer to a request whose handler panicked. The panic itself was reported when it happened.
pub(crate) fn of_panic(_panic: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request's handler panicked");
    ApiError::defect().into_response()
}
