use memcloud_control::Error;
use rusqlite::ErrorCode;

/// Why a piece of work on the database ended: what the port answers, or a failure of SQLite.
pub(crate) enum WorkError {
    Refused(Error),
    Sqlite(rusqlite::Error),
    /// A value in the database is not one that this version writes.
    Unreadable(Box<dyn std::error::Error + Send + Sync>),
}

impl WorkError {
    pub(crate) fn doing(self, doing: &'static str) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => Error::DiskFull,
            Self::Sqlite(error) => Error::Store { doing, source: error.into() },
            Self::Unreadable(source) => Error::Store { doing, source },
        }
    }
}

impl From<Error> for WorkError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for WorkError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<serde_json::Error> for WorkError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error.into())
    }
}

/// Whether a row was refused because another one has its unique values.
pub(crate) fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
}
