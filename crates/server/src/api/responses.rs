//! The errors that several operations describe in the document.

use memcloud_api::Error;
use utoipa::IntoResponses;

/// What a request with wrong parameters gets.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes what `ApiError` answers")]
pub(crate) enum Validated {
    /// The request does not validate.
    #[response(status = 422)]
    Invalid(Error),
}

/// What a store may get instead of an answer.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes what `ApiError` answers")]
pub(crate) enum StoreErrors {
    /// A producer or recipient is not a member of the session.
    #[response(status = 400)]
    NotAMember(Error),
    /// The idempotency key was used before with another request.
    #[response(status = 409)]
    Conflict(Error),
    /// The request does not validate; nothing is stored.
    #[response(status = 422)]
    Invalid(Error),
}

/// What a request for one memory may get instead of it.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes what `ApiError` answers")]
pub(crate) enum OneOfGroup {
    /// The group has none of this id.
    #[response(status = 404)]
    NotFound(Error),
    /// The request does not validate.
    #[response(status = 422)]
    Invalid(Error),
}
