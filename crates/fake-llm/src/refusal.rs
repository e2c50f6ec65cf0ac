//! Errors in `OpenAI`'s shape.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Why a call is refused.
#[derive(Clone, Debug)]
pub(crate) struct ErrorAnswer {
    pub(crate) status: StatusCode,
    message: String,
    code: Option<&'static str>,
    param: Option<&'static str>,
    retry_after: Option<u64>,
}

impl ErrorAnswer {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), code: None, param: None, retry_after: None }
    }

    /// The call is invalid.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The call has a field that this endpoint does not support.
    pub(crate) fn unknown(param: &'static str) -> Self {
        Self {
            code: Some("unknown_parameter"),
            param: Some(param),
            ..Self::invalid(format!("Unknown parameter: '{param}'."))
        }
    }

    /// The messages exceed the context length.
    pub(crate) fn overflow(limit: u64, tokens: u64) -> Self {
        Self {
            code: Some("context_length_exceeded"),
            param: Some("messages"),
            ..Self::invalid(format!(
                "This model's maximum context length is {limit} tokens. However, your messages resulted in {tokens} \
                 tokens. Please reduce the length of the messages."
            ))
        }
    }

    /// The key is missing or wrong. The message does not repeat it, because answers end up in logs.
    pub(crate) fn key() -> Self {
        let message = "Incorrect API key provided.";
        Self { code: Some("invalid_api_key"), ..Self::new(StatusCode::UNAUTHORIZED, message) }
    }

    /// There is no such route.
    pub(crate) fn route(method: &str, path: &str) -> Self {
        let message = format!("Invalid URL ({method} {path})");
        Self { code: Some("unknown_url"), ..Self::new(StatusCode::NOT_FOUND, message) }
    }

    /// A refusal with this status.
    pub(crate) fn status(status: u16, retry_after: Option<u64>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (message, code) = match status {
            StatusCode::TOO_MANY_REQUESTS => {
                ("Rate limit reached for requests.", Some("rate_limit_exceeded"))
            }
            StatusCode::UNAUTHORIZED => ("Incorrect API key provided.", Some("invalid_api_key")),
            _ if status.is_server_error() => ("The server had an error while processing your request.", None),
            _ => ("The request was refused.", None),
        };
        Self { code, retry_after, ..Self::new(status, message) }
    }

    /// The body of the answer.
    pub(crate) fn json(&self) -> Value {
        let kind = match self.status {
            StatusCode::TOO_MANY_REQUESTS => "requests",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        json!({"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}})
    }
}

impl IntoResponse for ErrorAnswer {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.json())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
