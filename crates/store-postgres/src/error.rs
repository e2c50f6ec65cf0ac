use std::error::Error as StdError;

use deadpool_postgres::{HookError, PoolError};
use memcloud_domain::{Database, DatabaseErrorKind, Error, with_causes};
use tokio_postgres::error::SqlState;

/// Why a piece of work on the database failed: an error of PostgreSQL or of the pool, or one of the domain.
#[derive(Debug)]
pub(crate) enum WorkError {
    Postgres(tokio_postgres::Error),
    Pool(PoolError),
    Domain(Error),
    /// A session that a store needs was removed meanwhile.
    SessionRemoved,
}

impl From<tokio_postgres::Error> for WorkError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<PoolError> for WorkError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                Self::Postgres(error)
            }
            other => Self::Pool(other),
        }
    }
}

impl From<Error> for WorkError {
    fn from(error: Error) -> Self {
        Self::Domain(error)
    }
}

impl WorkError {
    /// The error for the caller, with what the work was for.
    pub(crate) fn doing(self, doing: &'static str) -> Error {
        match self {
            Self::Domain(error) => error,
            Self::SessionRemoved => {
                Error::Storage { doing, source: "a session was removed meanwhile".into() }
            }
            Self::Pool(error) => Error::database(Database::Postgres, DatabaseErrorKind::Unreachable, error),
            Self::Postgres(error) if is_damage(&error) => {
                Error::StorageDamaged { what: format!("{doing}: {}", with_causes(&error)) }
            }
            Self::Postgres(error) => match kind(&error) {
                Some(kind) => Error::database(Database::Postgres, kind, error),
                None => Error::Storage { doing, source: error.into() },
            },
        }
    }

    /// Whether this constraint was violated.
    pub(crate) fn violates(&self, constraint: &str) -> bool {
        let Self::Postgres(error) = self else { return false };
        error.as_db_error().is_some_and(|error| error.constraint() == Some(constraint))
    }

    /// Whether it conflicted with another transaction and may be tried again. A fact that is copied from another engine may
    /// have the id that a fact being learned was just given.
    pub(crate) fn is_conflict(&self) -> bool {
        let error = match self {
            Self::Postgres(error) => error,
            other => return matches!(other, Self::SessionRemoved),
        };
        matches!(error.code(), Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE))
            || ["features_pkey", "members_session_fkey", "episodes_session_fkey"]
                .iter()
                .any(|constraint| self.violates(constraint))
    }
}

/// Whether a table or an index cannot be read.
fn is_damage(error: &tokio_postgres::Error) -> bool {
    matches!(error.code(), Some(&SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED))
}

/// What an error says about the database. `None` if it is about the statement.
///
/// The driver reports some failures in words only. Tests pin the words of the driver in use.
fn kind(error: &tokio_postgres::Error) -> Option<DatabaseErrorKind> {
    if let Some(code) = error.code() {
        return kind_of_code(code);
    }
    let words = with_causes(error);
    let says = |word: &str| words.contains(word);
    if inner::<rustls::Error>(error) || says("TLS") {
        Some(DatabaseErrorKind::Untrusted)
    } else if error.is_closed() || inner::<std::io::Error>(error) || says("connect") {
        Some(DatabaseErrorKind::Unreachable)
    } else if says("authentic") || says("password") {
        Some(DatabaseErrorKind::Refused)
    } else {
        None
    }
}

fn kind_of_code(code: &SqlState) -> Option<DatabaseErrorKind> {
    Some(match *code {
        SqlState::INVALID_PASSWORD
        | SqlState::INVALID_AUTHORIZATION_SPECIFICATION
        | SqlState::INVALID_CATALOG_NAME => DatabaseErrorKind::Refused,
        SqlState::TOO_MANY_CONNECTIONS | SqlState::CONFIGURATION_LIMIT_EXCEEDED => {
            DatabaseErrorKind::Exhausted
        }
        SqlState::INSUFFICIENT_PRIVILEGE => DatabaseErrorKind::Forbidden,
        SqlState::READ_ONLY_SQL_TRANSACTION => DatabaseErrorKind::ReadOnly,
        SqlState::DISK_FULL => DatabaseErrorKind::Full,
        SqlState::IO_ERROR => DatabaseErrorKind::Broken,
        // Another statement blocked it for too long.
        SqlState::LOCK_NOT_AVAILABLE
        | SqlState::QUERY_CANCELED
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::T_R_SERIALIZATION_FAILURE => DatabaseErrorKind::Silent,
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        | SqlState::DATABASE_DROPPED => DatabaseErrorKind::Unreachable,
        _ if code.code() == IDLE_SESSION_TIMEOUT || code.code().starts_with("08") => {
            DatabaseErrorKind::Unreachable
        }
        _ if code.code().starts_with("53") => DatabaseErrorKind::Exhausted,
        _ => return None,
    })
}

/// The driver has no constant for it.
const IDLE_SESSION_TIMEOUT: &str = "57P05";

/// Whether an error of this kind is among the causes.
fn inner<E: StdError + 'static>(error: &tokio_postgres::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        let wrapped = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.is::<E>() || matches!(wrapped, Some(wrapped) if wrapped.is::<E>()) {
            return true;
        }
        cause = inner.source();
    }
    false
}
