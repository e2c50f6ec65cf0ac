//! Why a call failed, and what to do.

use crate::Api;

/// Why a call failed. Neither sentence has a secret in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

/// The kinds of failure that callers treat differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is nothing of this name, or the caller may not see it.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// The name of a database is taken, or was until about a week ago.
    NameHeld,
    /// Another caller changed the resource in the meantime: read it again.
    Conflict,
    /// Another operation works on the resource.
    Busy,
    /// Other resources still use this one.
    StillUsed,
    /// The connection between two networks exists, with other ranges.
    RangesDiffer,
    /// The caller lacks a right.
    Forbidden {
        /// The missing permission, if the answer names it.
        permission: Option<String>,
    },
    /// The API is not enabled in this project.
    ApiDisabled,
    /// The project has no billing account.
    BillingDisabled,
    /// The project may not have more of this.
    QuotaExceeded,
    /// Too many calls in a short time.
    Throttled,
    /// The service failed.
    Unavailable,
    /// The token or key was refused.
    Unauthenticated,
    /// There are no credentials, or they cannot be turned into a token.
    Credentials,
    /// The request is wrong.
    Invalid,
    /// The request was sent once and its answer was lost: it may have had its effect.
    UnknownOutcome,
    /// The service cannot be reached.
    Unreachable,
    /// The operation ended with an error.
    Failed,
    /// The time was over.
    TimedOut,
    /// The caller cancelled it.
    Cancelled,
    /// The answer is not what the API is known to answer.
    Unreadable,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: hint.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message, hint)
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "the call was cancelled", "retry the operation")
    }

    pub(crate) fn timed_out(api: Api) -> Self {
        let message = format!("{api} did not get done in time");
        Self::new(ErrorKind::TimedOut, message, "retry: what was begun may have ended by then")
    }

    pub(crate) fn unreadable(api: Api, problem: impl std::fmt::Display) -> Self {
        let message = format!("{api} answered something unexpected: {problem}");
        Self::new(ErrorKind::Unreadable, message, "retry; if it stays, report it with this message")
    }

    /// Whether there is nothing of this name.
    pub fn is_not_found(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }

    /// Whether the name is taken.
    pub fn is_already_exists(&self) -> bool {
        self.kind == ErrorKind::AlreadyExists
    }

    /// Whether a request that must not be sent twice may have had its effect.
    pub fn is_unknown_outcome(&self) -> bool {
        self.kind == ErrorKind::UnknownOutcome
    }

    /// Whether the caller cancelled it.
    pub fn is_cancelled(&self) -> bool {
        self.kind == ErrorKind::Cancelled
    }
}

/// What is read may be absent.
pub trait OrNone<T> {
    /// `None` if there is nothing of this name.
    fn or_none(self) -> Result<Option<T>, Error>;
}

impl<T> OrNone<T> for Result<T, Error> {
    fn or_none(self) -> Result<Option<T>, Error> {
        match self {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
