//! What a turn is refused with.

use axum::http::StatusCode;
use memcloud_api::StoredOfChat;
use memcloud_domain::with_causes;
use memcloud_http::ApiError;
use memcloud_memory::FailedTurn;
use memcloud_ports::{ModelError, RefusalKind};

/// What an error of the model is answered with.
pub(crate) fn of_model(error: ModelError) -> ApiError {
    if let ModelError::Memory(error) = error {
        return error.into();
    }
    let (status, code) = status_and_code(&error);
    // Neither a caller's chats without a model nor those beyond its limits are news to the operator.
    if !matches!(error, ModelError::Missing | ModelError::Exhausted { .. }) {
        tracing::warn!(error = with_causes(&error), code, "the language model did not answer");
    }
    let mut refused = ApiError::new(status, error.to_string(), code);
    if let Some(hint) = specific_hint(&error) {
        refused = refused.with_hint(hint);
    }
    match error.retry_after() {
        Some(after) => refused.retry_after(after),
        None => refused,
    }
}

/// What a turn that failed is answered with.
pub(crate) fn of_turn(failed: FailedTurn) -> ApiError {
    of_model(failed.error).with_stored(StoredOfChat {
        user_message: failed.user_message.map(Into::into),
        assistant_message: failed.assistant_message.map(Into::into),
        content: Some(failed.content).filter(|content| !content.is_empty()),
    })
}

/// The status and the code of an error of the model.
fn status_and_code(error: &ModelError) -> (StatusCode, &'static str) {
    match error {
        ModelError::Missing => (StatusCode::SERVICE_UNAVAILABLE, "no_model"),
        ModelError::Unreachable(_) => (StatusCode::BAD_GATEWAY, "model_unreachable"),
        ModelError::Silent(_) => (StatusCode::GATEWAY_TIMEOUT, "model_silent"),
        ModelError::Refused(refusal) => refused(refusal.kind),
        ModelError::Cut(_) => (StatusCode::BAD_GATEWAY, "model_cut"),
        ModelError::Nothing | ModelError::Unusable { .. } | ModelError::TooLong { .. } => {
            (StatusCode::BAD_GATEWAY, "model_unusable")
        }
        ModelError::Exhausted { .. } => (StatusCode::TOO_MANY_REQUESTS, "model_limit"),
        ModelError::Resting { .. } => (StatusCode::SERVICE_UNAVAILABLE, "model_resting"),
        ModelError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
        ModelError::Memory(_) => (StatusCode::SERVICE_UNAVAILABLE, "memory_failed"),
    }
}

fn refused(kind: RefusalKind) -> (StatusCode, &'static str) {
    match kind {
        RefusalKind::ContextOverflow => (StatusCode::UNPROCESSABLE_ENTITY, "context_overflow"),
        RefusalKind::KeyRefused => (StatusCode::BAD_GATEWAY, "model_key_refused"),
        RefusalKind::ModelUnknown => (StatusCode::BAD_GATEWAY, "model_unknown"),
        RefusalKind::RateLimited | RefusalKind::NotReady | RefusalKind::QuotaExhausted => {
            (StatusCode::SERVICE_UNAVAILABLE, "model_busy")
        }
        RefusalKind::ServerFailed | RefusalKind::Redirected => (StatusCode::BAD_GATEWAY, "model_failed"),
        RefusalKind::ProxyRefused
        | RefusalKind::Conflict
        | RefusalKind::AnswerFormatUnsupported
        | RefusalKind::StreamOptionsUnsupported
        | RefusalKind::OperationUnsupported
        | RefusalKind::BadRequest => (StatusCode::BAD_GATEWAY, "model_refused"),
    }
}

/// A more specific hint than that of the code.
fn specific_hint(error: &ModelError) -> Option<&'static str> {
    let ModelError::Refused(refusal) = error else { return None };
    match refusal.kind {
        RefusalKind::QuotaExhausted => {
            Some("the account at the model endpoint has no credit left: add credit or use another key")
        }
        RefusalKind::Redirected => Some("correct OPENAI_BASE_URL: the endpoint redirects to another address"),
        _ => None,
    }
}
