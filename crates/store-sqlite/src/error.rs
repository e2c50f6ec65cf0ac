use std::io;

use memcloud_domain::Error;
use memcloud_ports::Damage;
use rusqlite::ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_SHORT_READ};
use rusqlite::{ErrorCode, ffi};

/// Why a piece of work on the database failed: an error of SQLite, or one of the domain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Domain(#[from] Error),
}

impl WorkError {
    /// Whether the disk is full.
    pub(crate) fn is_full(&self) -> bool {
        let code = match self {
            Self::Sqlite(error) => error.sqlite_error().copied(),
            Self::Domain(_) => None,
        };
        matches!(code, Some(ffi::Error { code: ErrorCode::DiskFull, .. }))
    }

    /// Whether something that is stored cannot be read.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Sqlite(error) if is_damage(error))
    }

    /// Whether a part of the database cannot be read, and not a value alone.
    pub(crate) fn is_structural(&self) -> bool {
        let code = match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Domain(_) => None,
        };
        code == Some(ErrorCode::DatabaseCorrupt)
    }

    /// Notes it if it is one of damage.
    pub(crate) fn note(&self, doing: &str, damage: &Damage<i64>) {
        if self.is_structural() {
            damage.note_structure(|| format!("{doing}: {self}"));
        } else if self.is_damage() {
            damage.note(&Error::StorageDamaged { what: format!("{doing}: {self}") });
        }
    }

    /// The error for the caller, with what the work was for.
    pub(crate) fn doing(self, doing: &'static str) -> Error {
        match self {
            Self::Domain(error) => error,
            Self::Sqlite(error) if is_damage(&error) => {
                Error::StorageDamaged { what: format!("{doing}: {error}") }
            }
            Self::Sqlite(error) => storage(error.sqlite_error().copied(), doing, error.into()),
        }
    }
}

/// Whether something that is stored cannot be read: a page, or a value of another type or form than was written.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as Sqlite;
    match error {
        Sqlite::SqliteFailure(code, _) => {
            matches!(code.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        }
        Sqlite::FromSqlConversionFailure(..)
        | Sqlite::IntegralValueOutOfRange(..)
        | Sqlite::InvalidColumnType(..)
        | Sqlite::Utf8Error(..) => true,
        _ => false,
    }
}

/// The error for a failed SQLite call.
pub(crate) fn storage(
    code: Option<ffi::Error>,
    doing: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
) -> Error {
    match code.map(|code| (code.code, code.extended_code)) {
        // The shared memory of the write-ahead log is a file, too, and cannot grow on a full disk.
        Some((ErrorCode::DiskFull, _) | (_, SQLITE_IOERR_SHMSIZE)) => Error::StorageFull(source),
        Some((ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen, _)) => {
            Error::StorageReadOnly(source)
        }
        Some((ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _)) => Error::StorageBusy(source),
        Some((ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _)) => {
            Error::StorageDamaged { what: format!("{doing}: {source}") }
        }
        Some((_, SQLITE_IOERR_SHORT_READ)) => {
            Error::StorageDamaged { what: format!("{doing}: a file of the database is shorter than it was") }
        }
        _ => Error::Storage { doing, source },
    }
}

/// The error for a failed file operation.
pub(crate) fn file(doing: &'static str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Error::StorageReadOnly(error.into())
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::StorageFull(error.into()),
        _ => Error::Storage { doing, source: error.into() },
    }
}

/// Runs blocking work on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => Err(Error::Storage { doing, source: panic.into() }),
    }
}
