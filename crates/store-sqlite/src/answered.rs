//! How many writes were answered, kept in a file next to the database: if the write-ahead log or the database is lost, or
//! replaced by an older copy, the next start notices.
//!
//! The number is also in the database, in the transaction of the writes themselves. The file is written after the
//! answer and never synchronized, so it may fall behind but is never ahead of what is on the disk.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use memcloud_domain::{Error, Timestamp};
use rusqlite::Connection;

use crate::files::open_private;
use crate::{error, meta, place, sibling};

/// What was answered before, as the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    writes: u64,
    memory: String,
}

impl Answered {
    /// Reads the file. `None` if there is none that can be read.
    pub(crate) fn read(database: &Path) -> Option<Self> {
        let line = fs::read_to_string(path(database)).ok()?;
        let (writes, memory) = line.trim_end().split_once(' ')?;
        Some(Self { writes: writes.parse().ok()?, memory: memory.to_owned() })
    }

    /// What is missing in a database of this memory with this number of writes, in words.
    fn missing(&self, memory: &str, writes: u64) -> Option<String> {
        let Self { writes: answered, memory: known } = self;
        // A database that had everything in its log has a new name without it.
        if *answered > 0 && known != memory && writes > 0 {
            return Some(format!(
                "{answered} writes were answered here, and the database belongs to another memory"
            ));
        }
        let lost = answered.checked_sub(writes).filter(|lost| *lost > 0)?;
        let which =
            if writes == 0 { format!("all {answered}") } else { format!("the last {lost} of {answered}") };
        Some(format!(
            "{which} writes that were answered are missing (a write is one commit, with any number of stored or deleted memories)"
        ))
    }
}

/// Refuses to create a database where one was before, or where the log of one still is.
pub(crate) fn refuse_lost_database(database: &Path) -> Result<(), Error> {
    let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    if size(database) > 0 {
        return Ok(());
    }
    let what = match Answered::read(database) {
        Some(Answered { writes: writes @ 1.., .. }) => {
            format!("{writes} writes were answered, and the database is missing or empty")
        }
        _ if size(&sibling(database, "-wal")) > 0 => {
            "the write-ahead log is there, and the database is missing or empty".into()
        }
        _ => return Ok(()),
    };
    let name = database.file_name().unwrap_or_default().display();
    let what = format!("{what}; to begin a new memory, move every {name}* away");
    Err(Error::StorageIncomplete { place: place(database), what })
}

/// Counts the answered writes in the file.
pub(crate) struct Counter {
    file: Option<File>,
    memory: String,
    writes: u64,
}

/// The name of the memory as the file has it; empty without one.
pub(crate) fn memory(database: &Path) -> String {
    Answered::read(database).map(|answered| answered.memory).unwrap_or_default()
}

impl Counter {
    /// Counts nothing, where the database cannot say what it has.
    pub(crate) fn none() -> Self {
        Self { file: None, memory: String::new(), writes: 0 }
    }

    /// Begins with a database of this memory that has this number of writes, and notes what it lacks.
    pub(crate) fn begin(database: &Path, memory: &str, writes: u64, now: Timestamp) -> Result<Self, Error> {
        let before = Answered::read(database);
        if let Some(what) = before.and_then(|before| before.missing(memory, writes)) {
            let note = format!("found on {now}: {what}\n");
            let noted = open_private(&note_path(database))
                .and_then(|file| file.write_all_at(note.as_bytes(), file.metadata()?.len()));
            noted.map_err(|error| error::file("noting that writes are missing", error))?;
        }
        if let Err(incomplete) = refuse_incomplete(database) {
            tracing::error!(
                "{incomplete}; or stop the server, and put the missing files back or restore a backup"
            );
        }
        let mut counter = Self { file: None, memory: memory.to_owned(), writes };
        match open_private(&path(database)) {
            Ok(file) => counter.file = Some(file),
            Err(error) => tracing::warn!(%error, "cannot keep the number of answered writes"),
        }
        counter.set(writes);
        Ok(counter)
    }

    /// The number of the next write.
    pub(crate) fn next(&self) -> u64 {
        self.writes + 1
    }

    /// Keeps the number of writes that were answered.
    pub(crate) fn set(&mut self, writes: u64) {
        self.writes = writes;
        let Some(file) = &self.file else { return };
        // One page of the file system's cache: survives the end of the process.
        if let Err(error) = file.write_all_at(format!("{writes:020} {}\n", self.memory).as_bytes(), 0) {
            tracing::warn!(%error, "cannot keep the number of answered writes");
            self.file = None;
        }
    }
}

/// What a database lacks, which may be open in a server: as the last start noted it, or as the next one will.
pub(crate) fn missing(database: &Path, connection: &Connection) -> Option<String> {
    if let Err(error) = refuse_incomplete(database) {
        return Some(error.to_string());
    }
    // First the file: while a server writes, the database has at least as many.
    let answered = Answered::read(database)?;
    let memory = meta::existing_memory(connection).ok().flatten()?;
    let what = answered.missing(&memory, meta::writes(connection).ok()?)?;
    Some(Error::StorageIncomplete { place: place(database), what }.to_string())
}

/// Refuses while the note of missing writes is there.
pub(crate) fn refuse_incomplete(database: &Path) -> Result<(), Error> {
    let note = note_path(database);
    match fs::read_to_string(&note) {
        Ok(found) => {
            let found = found.trim_end().replace('\n', "; ");
            let what = format!("{found}; to go on without them, remove {}", note.display());
            Err(Error::StorageIncomplete { place: place(database), what })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error::file("looking for a note of missing writes", error)),
    }
}

fn path(database: &Path) -> PathBuf {
    sibling(database, "-answered")
}

fn note_path(database: &Path) -> PathBuf {
    sibling(database, "-missing")
}
