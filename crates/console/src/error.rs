//! What the errors of the control plane become.

use std::time::Duration;

use axum::http::StatusCode;
use memcloud_api::{Place, Problem};
use memcloud_control::{Error, Reason};
use memcloud_domain::with_causes;
use memcloud_http::ApiError;

/// How long a caller shall wait who meets a part that does not answer.
const RETRY: Duration = Duration::from_secs(1);

/// The answer to a request that the control plane refuses.
pub(crate) fn refused(error: Error) -> ApiError {
    let message = error.to_string();
    let conflict = |code| ApiError::new(StatusCode::CONFLICT, message.clone(), code);
    match error {
        Error::NotFound(_) => ApiError::new(StatusCode::NOT_FOUND, message, "not_found"),
        Error::NameTaken(_) => conflict("name_taken"),
        Error::UserExists(_) => conflict("user_exists"),
        Error::Busy(_) => conflict("operation_running"),
        Error::LastOwner => conflict("last_owner"),
        Error::NotFirstOrganization => {
            ApiError::new(StatusCode::FORBIDDEN, message, "not_first_organization")
        }
        Error::NoTarget(_) => invalid("target", message, "target_missing"),
        Error::Refused(reasons) => reasons.iter().map(refusal).collect::<Vec<_>>().into(),
        Error::WrongState { hint, .. } => conflict("wrong_state").with_hint(hint),
        Error::InvalidName(_) => invalid("name", message, "invalid_name"),
        Error::Invalid { field, message } => invalid(field, message, "invalid_value"),
        Error::Instance(error) => {
            let Some(refusal) = error.refusal() else {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                return ApiError::new(status, message, "instance_unreachable").retry_after(RETRY);
            };
            of_instance(refusal.status, &refusal.detail, refusal.hint.clone())
        }
        Error::Sealed(_) => failed(&error, StatusCode::INTERNAL_SERVER_ERROR, "secret_unreadable"),
        Error::Store { .. } => {
            failed(&error, StatusCode::SERVICE_UNAVAILABLE, "database_failed").retry_after(RETRY)
        }
        Error::DiskFull => failed(&error, StatusCode::INSUFFICIENT_STORAGE, "storage_full"),
    }
}

/// One of the reasons for which a plan is refused. Each has a hint of its own.
fn refusal(reason: &Reason) -> Problem {
    let msg = format!("{}; {}", reason.message, reason.hint);
    Problem::new(Place::body(), "plan_refused", msg, "plan_refused")
}

fn invalid(field: &'static str, message: String, code: &'static str) -> ApiError {
    Problem::new(Place::body().at(field), "value_error", message, code).into()
}

/// What the instance refused for the caller's sake is the caller's; everything else is a failure of the instance.
fn of_instance(status: u16, detail: &str, hint: Option<String>) -> ApiError {
    let detail = format!("the instance refused: {detail}");
    let error = match StatusCode::from_u16(status) {
        Ok(of_caller @ (StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY)) => {
            ApiError::new(of_caller, detail, "instance_refused")
        }
        _ => {
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, detail, "instance_unavailable").retry_after(RETRY)
        }
    };
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// A failure of the control plane itself.
fn failed(error: &Error, status: StatusCode, code: &'static str) -> ApiError {
    tracing::error!(error = with_causes(error), code, "the control plane failed");
    ApiError::new(status, error.to_string(), code)
}
