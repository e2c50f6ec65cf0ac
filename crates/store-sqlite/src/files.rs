use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use memcloud_domain::Error;
use rustix::fs::OFlags;
#[cfg(target_os = "linux")]
use rustix::fs::{AtFlags, StatxFlags};

use crate::sibling;

/// The files of the open database, as they were when it was opened.
///
/// SQLite goes on with files that were removed or replaced under it, and what is written to them then is lost.
pub(crate) struct Files {
    place: String,
    known: Vec<(PathBuf, Identity)>,
}

/// The device and the number of a file.
#[cfg(target_os = "linux")]
type Identity = (u32, u32, u64);
#[cfg(not(target_os = "linux"))]
type Identity = (u64, u64);

impl Files {
    /// Remembers the database, its write-ahead log and the log's index, which exist while a connection is open.
    pub(crate) fn of(database: &Path) -> Self {
        let place = database.parent().unwrap_or(database).display().to_string();
        let paths = [database.to_owned(), sibling(database, "-wal"), sibling(database, "-shm")];
        let known = paths.into_iter().filter_map(|path| identity(&path).map(|found| (path, found))).collect();
        Self { place, known }
    }

    /// Refuses when a file is no longer there, or another one has its name.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.known.iter().all(|(path, known)| identity(path) == Some(*known)) {
            Ok(())
        } else {
            Err(Error::StorageGone { place: self.place.clone() })
        }
    }
}

/// Opens a file of ours, made for its owner alone when it is missing. A link in its place is refused.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path)
}

/// Does not ask for the times of the file: Linux would then keep an exact time of the next write, and the next commit would
/// have to write that as well.
#[cfg(target_os = "linux")]
fn identity(path: &Path) -> Option<Identity> {
    let found = rustix::fs::statx(rustix::fs::CWD, path, AtFlags::empty(), StatxFlags::INO).ok()?;
    Some((found.stx_dev_major, found.stx_dev_minor, found.stx_ino))
}

#[cfg(not(target_os = "linux"))]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}
