//! Files and folders of instances, for their owner alone.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::instances::Reason;

/// Makes a folder, and those above it, for their owner alone. A folder that is there stays as it is.
pub(super) fn make_folder(path: &Path) -> Result<(), Reason> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| failed("make", path, &error))
}

/// Removes a file or a folder with everything in it, if it is there.
pub(super) async fn remove(path: &Path) -> Result<(), Reason> {
    let owned = path.to_owned();
    let removed = blocking(move || match fs::symlink_metadata(&owned) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(&owned),
        Ok(_) => fs::remove_file(&owned),
        Err(error) => Err(error),
    });
    match removed.await {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path, &error)),
        _ => Ok(()),
    }
}

/// Does work on files on a thread that serves no requests.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

/// Why something could not be done to a path.
pub(super) fn failed(doing: &str, path: &Path, error: &io::Error) -> Reason {
    let hint = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free space on that disk, then retry",
        ErrorKind::PermissionDenied => "check the owner and the permissions of the path, then retry",
        ErrorKind::ReadOnlyFilesystem => "make the disk writable, then retry",
        _ => "check the path and the disk it is on, then retry",
    };
    Reason::new(format!("cannot {doing} {}: {error}", path.display()), hint)
}
