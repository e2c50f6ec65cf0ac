//! The errors that several operations describe in the document.

use memcloud_api::Error;
use utoipa::IntoResponses;

/// The errors of a request for one thing.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes what `ApiError` answers")]
pub(crate) enum NotFound {
    /// Nothing in the caller's organization has this id.
    #[response(status = 404)]
    NotFound(Error),
}

/// The errors of a request that begins an operation of one thing.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes what `ApiError` answers")]
pub(crate) enum NotNow {
    /// Nothing in the caller's organization has this id.
    #[response(status = 404)]
    NotFound(Error),
    /// Another operation has not ended, or the state does not permit this.
    #[response(status = 409)]
    Conflict(Error),
}
