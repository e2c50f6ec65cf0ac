//! Copies and examinations of a database from outside, while a server has it open or not.

use std::fs::File;
use std::path::Path;

use memcloud_domain::Error;
use rusqlite::{Connection, OpenFlags};
use tempfile::NamedTempFile;

use crate::error::{self, WorkError};
use crate::salvage::UnreadableRow;
use crate::schema::{self, LogIndex};
use crate::{FILE, OPENING, answered, files, meta, place, salvage};

/// A finished backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// How many episodes it has.
    pub episodes: u64,
    /// Its size.
    pub bytes: u64,
    /// What the database lacked already when it was copied.
    pub missing: Option<String>,
}

/// What an examination found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examination {
    /// The name of the memory.
    pub memory: Option<String>,
    /// How many episodes there are; `None` if they cannot be counted.
    pub episodes: Option<u64>,
    /// What SQLite's check of integrity says, line by line, at most ten lines; nothing if all is well.
    pub broken: Vec<String>,
    /// The rows that cannot be read.
    pub unreadable: Vec<UnreadableRow>,
    /// What is missing, as the last start found it or the next one will.
    pub missing: Option<String>,
}

/// The most lines of a check of integrity.
const LINES: u32 = 10;

/// Copies the database of a data directory, with everything that was answered before, into a new file that only its owner
/// may read, and checks the copy. The database may be open in a server, which goes on.
///
/// Fails if the file is there already, or if the copy is not intact; then nothing is left of it.
pub fn back_up(directory: &Path, to: &Path) -> Result<Backup, Error> {
    const DOING: &str = "copying the database";
    let failed = |error: WorkError| error.doing(DOING);
    let file = |error| error::file(DOING, error);
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let path = directory.join(FILE);
    let source = connect(&path)?;
    let answered = meta::writes(&source).map_err(failed)?;
    let missing = answered::missing(&path, &source);
    let copy = NamedTempFile::new_in(folder).map_err(file)?;
    let name = copy.path().to_string_lossy().into_owned();
    source.execute("VACUUM INTO ?1", [name]).map_err(|error| failed(error.into()))?;
    let episodes = check(copy.path(), answered).map_err(failed)?;
    copy.as_file().sync_all().map_err(file)?;
    let kept = copy.persist_noclobber(to).map_err(|error| file(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(file)?;
    let bytes = kept.metadata().map_err(file)?.len();
    Ok(Backup { episodes, bytes, missing })
}

/// Checks a copy: that it is intact, and has at least this number of writes. Returns how many episodes it has.
fn check(copy: &Path, answered: u64) -> Result<u64, WorkError> {
    let copy = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let broken = integrity(&copy)?;
    if let Some(line) = broken.first() {
        return Err(Error::StorageDamaged { what: format!("the copy is not intact: {line}") }.into());
    }
    if meta::writes(&copy)? < answered {
        let what = "the copy lacks writes that were answered".to_owned();
        return Err(Error::StorageDamaged { what }.into());
    }
    count(&copy)
}

/// Examines the database of a data directory, which may be open in a server: its integrity, every episode, and what it lacks.
pub fn examine(directory: &Path) -> Result<Examination, Error> {
    let path = directory.join(FILE);
    let database = connect(&path)?;
    let examine = || -> Result<Examination, WorkError> {
        let broken = match integrity(&database) {
            Err(error) if error.is_damage() => vec![error.doing("checking the integrity").to_string()],
            broken => broken?,
        };
        let unreadable = match salvage::unreadable(&database) {
            Err(error) if error.is_damage() && !broken.is_empty() => Vec::new(),
            unreadable => unreadable?,
        };
        let missing = answered::missing(&path, &database);
        let memory = meta::existing_memory(&database).ok().flatten();
        Ok(Examination { memory, episodes: count(&database).ok(), broken, unreadable, missing })
    };
    examine().map_err(|error| error.doing("examining the database"))
}

/// Opens a database with anything in it. SQLite removes the log of an empty one, which belongs to a database that may come back.
fn connect(path: &Path) -> Result<Connection, Error> {
    answered::refuse_lost_database(path)?;
    let database = schema::connect(path, LogIndex::Shared).map_err(|error| files::unreadable(path, error))?;
    if schema::is_empty(&database).map_err(|error| WorkError::from(error).doing(OPENING))? {
        let what = "the database is empty, and a server that starts says what is missing".to_owned();
        return Err(Error::StorageIncomplete { place: place(path), what });
    }
    Ok(database)
}

fn integrity(database: &Connection) -> Result<Vec<String>, WorkError> {
    let mut check = database.prepare(&format!("PRAGMA integrity_check({LINES})"))?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut broken: Vec<String> = lines.into_iter().filter(|line| line != "ok").collect();
    broken.extend(orphaned(database)?);
    Ok(broken)
}

/// The rows whose space, session or other owner is missing, a line for each two tables.
fn orphaned(database: &Connection) -> Result<Vec<String>, WorkError> {
    let mut check = database.prepare(
        "SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY \"table\", parent ORDER BY 1, 2",
    )?;
    let lines = check.query_map([], |row| {
        let (table, parent, rows) =
            (row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?);
        Ok(format!("{rows} rows of '{table}' belong to rows of '{parent}' that are missing"))
    })?;
    Ok(lines.collect::<Result<_, _>>()?)
}

fn count(database: &Connection) -> Result<u64, WorkError> {
    let count = database.query_row("SELECT count(*) FROM episodes", [], |row| row.get::<_, i64>(0))?;
    Ok(count.cast_unsigned())
}
