use memcloud_api::console::Reason as ApiReason;
use memcloud_control::Reason;

/// A reason as the API shows it.
pub(super) fn reason(reason: Reason) -> ApiReason {
    ApiReason { message: reason.message, hint: reason.hint }
}
