use memcloud_model::Error;
use rusqlite::ErrorCode;

/// What a piece of work on the database can fail with: SQLite's error, or one of ours.
pub(crate) enum Failure {
    Sqlite(rusqlite::Error),
    Ours(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl Failure {
    /// The error for the one who asked, with what was being done.
    pub(crate) fn doing(self, doing: &'static str) -> Error {
        match self {
            Self::Ours(error) => error,
            Self::Sqlite(error) => {
                let code = error.sqlite_error_code();
                storage(code, doing, error.into())
            }
        }
    }
}

/// The error for a failed SQLite call.
pub(crate) fn storage(
    code: Option<ErrorCode>,
    doing: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
) -> Error {
    match code {
        Some(ErrorCode::DiskFull) => Error::StorageFull(source),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            Error::StorageReadOnly(source)
        }
        _ => Error::Storage { doing, source },
    }
}

/// Runs work that blocks on a thread made for it.
pub(crate) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => Err(Error::Storage { doing, source: panic.into() }),
    }
}
