use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use memcloud_domain::Error;

use crate::error;

/// Holds a data directory for one process. The operating system releases it however the process ends.
pub(crate) struct DirectoryLock(#[expect(dead_code, reason = "held for its lock alone")] File);

impl DirectoryLock {
    const FILE: &str = "lock";

    pub(crate) fn acquire(directory: &Path) -> Result<Self, Error> {
        let storage = |error| error::file("taking hold of the data directory", error);
        make_private(directory).map_err(storage)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join(Self::FILE))
            .map_err(storage)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                Err(Error::StorageLocked { place: directory.display().to_string() })
            }
            Err(TryLockError::Error(error)) => Err(storage(error)),
        }
    }
}

/// Memories are private: what we make ourselves is for its owner only. A directory that exists is left as it is.
fn make_private(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}
