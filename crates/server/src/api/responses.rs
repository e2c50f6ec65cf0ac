//! The errors that several operations describe in the document.

use memcloud_api::Error;
use memcloud_http::{Operations, SharedError};
use utoipa::IntoResponses;

/// The errors of a store.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes what `ApiError` answers")]
pub(crate) enum StoreErrors {
    /// A producer or recipient is not a member of the session, or the body broke off.
    #[response(status = 400)]
    NotAMember(Error),
    /// The idempotency key was used before with another request, or the group is being deleted.
    #[response(status = 409)]
    Conflict(Error),
}

/// The errors of a request for one thing.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes what `ApiError` answers")]
pub(crate) enum NotFound {
    /// Nothing has this name, or nothing that is open to the caller.
    #[response(status = 404)]
    NotFound(Error),
}

/// The errors that operations share, in addition to those of HTTP itself.
pub(crate) const SHARED: [SharedError; 4] = [
    SharedError {
        status: "401",
        name: "Unauthorized",
        description: "There is no key, or it is unknown, revoked or expired.",
        of: Operations::All,
    },
    SharedError {
        status: "403",
        name: "Forbidden",
        description: "The key lacks the right, or does not open the group; or, without keys, the caller is not on this machine.",
        of: Operations::All,
    },
    SharedError {
        status: "503",
        name: "Unavailable",
        description: "The memory cannot serve now; `Retry-After` says when to ask again.",
        of: Operations::All,
    },
    SharedError {
        status: "507",
        name: "StorageFull",
        description: "The disk is full; nothing was stored.",
        of: Operations::All,
    },
];
