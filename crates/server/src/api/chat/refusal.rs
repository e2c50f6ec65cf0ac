//! What a request for the model is refused with, in our own shape and in OpenAI's.

use axum::Json;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use memcloud_api::PrefixedId;
use memcloud_domain::with_causes;
use memcloud_memory::FailedTurn;
use memcloud_ports::{ModelError, Refusal, RefusalKind};
use serde_json::json;

use crate::failure::{Failure, Stored};

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        if let ModelError::Memory(error) = error {
            return error.into();
        }
        let (status, code, hint) = explained(&error);
        if status != StatusCode::TOO_MANY_REQUESTS {
            tracing::warn!(error = with_causes(&error), code, "the language model did not answer");
        }
        let after = error.retry_after();
        let failure = Self::text(status, error.to_string(), code, hint);
        match after {
            Some(after) => failure.retry_after(after),
            None => failure,
        }
    }
}

impl From<FailedTurn> for Failure {
    fn from(failed: FailedTurn) -> Self {
        let stored = Stored {
            user_message: failed.user_message.as_ref().map(|id| PrefixedId(*id).to_string()),
            assistant_message: failed.assistant_message.as_ref().map(|id| PrefixedId(*id).to_string()),
            content: Some(failed.content).filter(|content| !content.is_empty()),
        };
        Self::from(failed.error).with_stored(stored)
    }
}

/// The status, the code and the mend of an error of the model.
fn explained(error: &ModelError) -> (StatusCode, &'static str, &'static str) {
    const SETTINGS: &str =
        "see OPENAI_BASE_URL, OPENAI_API_KEY and MEMCLOUD_CHAT_MODEL; 'memcloud doctor' tries them";
    const AGAIN: &str = "send it again; 'memcloud doctor' tries the model";
    match error {
        ModelError::Missing => {
            let hint = "set OPENAI_API_KEY, or OPENAI_BASE_URL and MEMCLOUD_CHAT_MODEL; storing and searching need none";
            (StatusCode::SERVICE_UNAVAILABLE, "no_model", hint)
        }
        ModelError::Unreachable(_) => (StatusCode::BAD_GATEWAY, "model_unreachable", SETTINGS),
        ModelError::Silent(_) => (StatusCode::GATEWAY_TIMEOUT, "model_silent", AGAIN),
        ModelError::Refused(refusal) => refused(refusal.kind),
        ModelError::Cut(_) => (StatusCode::BAD_GATEWAY, "model_cut", AGAIN),
        ModelError::Nothing | ModelError::Unusable { .. } | ModelError::TooLong { .. } => {
            (StatusCode::BAD_GATEWAY, "model_unusable", AGAIN)
        }
        ModelError::Exhausted { .. } => {
            let hint = "wait as long as Retry-After says, or raise the MEMCLOUD_MODEL_… limits";
            (StatusCode::TOO_MANY_REQUESTS, "model_limit", hint)
        }
        ModelError::Resting { .. } => {
            let hint = "wait as long as Retry-After says; 'memcloud doctor' tries the model";
            (StatusCode::SERVICE_UNAVAILABLE, "model_resting", hint)
        }
        ModelError::Stopping => {
            (StatusCode::SERVICE_UNAVAILABLE, "shutting_down", "send it again when the server is back")
        }
        ModelError::Memory(_) => (StatusCode::SERVICE_UNAVAILABLE, "memory_failed", "run 'memcloud doctor'"),
    }
}

fn refused(kind: RefusalKind) -> (StatusCode, &'static str, &'static str) {
    match kind {
        RefusalKind::ContextOverflow => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "context_overflow",
            "send fewer or shorter messages: even without any memory it is more than the model can read",
        ),
        RefusalKind::KeyRefused => {
            (StatusCode::BAD_GATEWAY, "model_key_refused", "correct OPENAI_API_KEY of the instance")
        }
        RefusalKind::ModelUnknown => (
            StatusCode::BAD_GATEWAY,
            "model_unknown",
            "correct the model, MEMCLOUD_CHAT_MODEL or OPENAI_BASE_URL",
        ),
        RefusalKind::RateLimited | RefusalKind::NotReady => {
            (StatusCode::SERVICE_UNAVAILABLE, "model_busy", "wait as long as Retry-After says")
        }
        RefusalKind::QuotaExhausted => (
            StatusCode::SERVICE_UNAVAILABLE,
            "model_busy",
            "the account at the model endpoint has no credit left: add credit or use another key",
        ),
        RefusalKind::ServerFailed => {
            (StatusCode::BAD_GATEWAY, "model_failed", "send it again; 'memcloud doctor' tries the model")
        }
        RefusalKind::Redirected => (
            StatusCode::BAD_GATEWAY,
            "model_failed",
            "correct OPENAI_BASE_URL: the endpoint redirects to another address",
        ),
        RefusalKind::ProxyRefused
        | RefusalKind::Conflict
        | RefusalKind::AnswerFormatUnsupported
        | RefusalKind::StreamOptionsUnsupported
        | RefusalKind::OperationUnsupported
        | RefusalKind::BadRequest => {
            (StatusCode::BAD_GATEWAY, "model_refused", "change the request as the endpoint says")
        }
    }
}

/// A failure in OpenAI's shape.
pub(super) struct OpenAi(pub(super) Failure);

impl IntoResponse for OpenAi {
    fn into_response(self) -> Response {
        let (status, header) = (self.0.status(), self.0.header());
        let kind = match status.as_u16() {
            401 => "authentication_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        // OpenAI answers what does not validate with 400, and its clients look for that.
        let status =
            if status == StatusCode::UNPROCESSABLE_ENTITY { StatusCode::BAD_REQUEST } else { status };
        let (told, code, hint) = self.0.told_in_words();
        let message = format!("{told}: {hint}");
        let body = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
        let mut response = (status, Json(body)).into_response();
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<ModelError> for OpenAi {
    fn from(error: ModelError) -> Self {
        Self(error.into())
    }
}

impl From<Failure> for OpenAi {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

/// An error of the endpoint, handed on as it came.
pub(super) fn handed_on(refusal: Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = Response::new(Body::from(refusal.body));
    *response.status_mut() = status;
    if let Some(kind) = refusal.content_type.and_then(|kind| HeaderValue::from_str(&kind).ok()) {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    if let Some(after) = refusal.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.as_secs_f64().ceil() as u64));
    }
    response
}
