use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use memcloud_domain::Error;
use rustix::fs::OFlags;
#[cfg(target_os = "linux")]
use rustix::fs::{AtFlags, StatxFlags};

use crate::{place, sibling};

/// The files of the open database, as they were when it was opened.
///
/// SQLite goes on with files that were removed, replaced or shortened under it, and what is written to them then is lost.
/// Bytes that are overwritten in place do not show here: reads find them, as far as they break a page, and so does the check
/// of the database's integrity.
pub(crate) struct Files {
    place: String,
    known: [Known; 3],
    /// How many bytes the database and its log have at least.
    database_bytes: AtomicU64,
    log_bytes: AtomicU64,
    /// The log, to look into it; `None` if there was none.
    log: Option<File>,
    /// Whether the log was seen to have lost what was in it.
    has_hole: AtomicBool,
}

/// A file and what it was; `None` if there was none.
struct Known {
    path: PathBuf,
    identity: Option<Identity>,
}

/// What happened to the files.
#[derive(Clone, Debug)]
pub(crate) enum Loss {
    /// A file is no longer there, or another one has its name.
    Gone { place: String },
    /// A file is shorter than it must be.
    Shortened { place: String, file: &'static str },
}

impl From<Loss> for Error {
    fn from(loss: Loss) -> Self {
        match loss {
            Loss::Gone { place } => Self::StorageGone { place },
            Loss::Shortened { place, file } => Self::StorageShortened { place, file },
        }
    }
}

/// The device and the number of a file.
#[cfg(target_os = "linux")]
type Identity = (u32, u32, u64);
#[cfg(not(target_os = "linux"))]
type Identity = (u64, u64);

impl Files {
    /// Remembers the database, its write-ahead log and the log's index, which exist while a connection is open.
    pub(crate) fn of(database: &Path) -> Self {
        let place = place(database);
        let paths = [database.to_owned(), sibling(database, "-wal"), sibling(database, "-shm")];
        let found = paths.map(|path| (look(&path), path));
        let [database_bytes, _, _] =
            found.each_ref().map(|(found, _)| found.map_or(0, |(_, bytes)| bytes).into());
        let known = found.map(|(found, path)| Known { identity: found.map(|(identity, _)| identity), path });
        let log = File::open(sibling(database, "-wal")).ok();
        Self {
            place,
            known,
            database_bytes,
            log_bytes: AtomicU64::default(),
            log,
            has_hole: AtomicBool::default(),
        }
    }

    /// Looks for zeros in the log where it cannot have them. A log that is shortened while it is written gets its old size
    /// again by the next part of the write, with a hole in it.
    pub(crate) fn check_written(&self, marks: impl IntoIterator<Item = u64>) {
        let Some(log) = &self.log else { return };
        let is_zero = |mark| {
            let mut word = [0; 4];
            log.read_exact_at(&mut word, mark).is_err() || word == [0; 4]
        };
        if marks.into_iter().any(is_zero) {
            self.has_hole.store(true, Ordering::Relaxed);
        }
    }

    /// Notes how many bytes the log has at least. Only the thread that writes knows.
    pub(crate) fn expect_log(&self, bytes: u64) {
        self.log_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Refuses when a file is no longer there, or when another one has its name. Returns their sizes.
    pub(crate) fn check_places(&self) -> Result<[u64; 3], Loss> {
        let mut sizes = [0; 3];
        for (Known { path, identity }, size) in self.known.iter().zip(&mut sizes) {
            let Some(known) = identity else { continue };
            match look(path) {
                Some((found, bytes)) if found == *known => *size = bytes,
                _ => return Err(Loss::Gone { place: self.place.clone() }),
            }
        }
        Ok(sizes)
    }

    /// The same when a file is also shorter than it was, unless this process has emptied it.
    pub(crate) fn check(&self) -> Result<(), Loss> {
        let [database, log, _] = self.check_places()?;
        let shortened = |file| Err(Loss::Shortened { place: self.place.clone(), file });
        if database < self.database_bytes.fetch_max(database, Ordering::Relaxed) {
            shortened("database")
        } else if log < self.log_bytes.load(Ordering::Relaxed) || self.has_hole.load(Ordering::Relaxed) {
            shortened("write-ahead log")
        } else {
            Ok(())
        }
    }
}

/// The error of an opening that damage ended. Says so if the file is shorter than its first page says.
pub(crate) fn unreadable(database: &Path, error: Error) -> Error {
    let Error::StorageDamaged { mut what } = error else { return error };
    if let Ok((found, expected)) = sizes(database)
        && found < expected
    {
        let name = database.file_name().unwrap_or_default().display();
        what = format!("{what}; {name} has {found} of its {expected} bytes");
    }
    Error::StorageUnreadable { place: place(database), what }
}

/// The size of a database file, and the one that its header has. See <https://sqlite.org/fileformat2.html#the_database_header>.
fn sizes(database: &Path) -> io::Result<(u64, u64)> {
    let file = File::open(database)?;
    let (mut magic, mut page, mut pages) = ([0; 16], [0; 2], [0; 4]);
    file.read_exact_at(&mut magic, 0)?;
    if &magic != b"SQLite format 3\0" {
        return Err(io::ErrorKind::InvalidData.into());
    }
    file.read_exact_at(&mut page, 16)?;
    file.read_exact_at(&mut pages, 28)?;
    // The largest page does not fit into two bytes.
    let page = if u16::from_be_bytes(page) == 1 { 1 << 16 } else { u64::from(u16::from_be_bytes(page)) };
    Ok((file.metadata()?.len(), page * u64::from(u32::from_be_bytes(pages))))
}

/// Opens a file of ours, made for its owner alone when it is missing. A link in its place is refused.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path)
}

/// The identity and the size of a file.
///
/// Does not ask for its times: Linux would then keep an exact time of the next write, and the next commit would have to write
/// that as well.
#[cfg(target_os = "linux")]
fn look(path: &Path) -> Option<(Identity, u64)> {
    let wanted = StatxFlags::INO | StatxFlags::SIZE;
    let found = rustix::fs::statx(rustix::fs::CWD, path, AtFlags::empty(), wanted).ok()?;
    Some(((found.stx_dev_major, found.stx_dev_minor, found.stx_ino), found.stx_size))
}

#[cfg(not(target_os = "linux"))]
fn look(path: &Path) -> Option<(Identity, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|found| ((found.dev(), found.ino()), found.len()))
}
