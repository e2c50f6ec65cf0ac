use std::path::Path;
use std::time::Duration;

use memcloud_domain::Error;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::error::WorkError;
use crate::room::ROOM;

/// How long a connection waits for a lock that another one holds.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The migrations, in order. A released migration is never changed. `PRAGMA user_version` counts those that were run.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_episodes.sql"),
    include_str!("../migrations/0002_intents.sql"),
    include_str!("../migrations/0003_profile.sql"),
    include_str!("../migrations/0004_keys.sql"),
    include_str!("../migrations/0005_spaces.sql"),
    include_str!("../migrations/0006_fact_sets.sql"),
    include_str!("../migrations/0007_pruning.sql"),
    include_str!("../migrations/0008_writes.sql"),
];

/// How SQLite keeps the index of the write-ahead log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogIndex {
    /// In a file other than the log, so that other programs can read the database as well.
    Shared,
    /// In memory, for a disk without room for that file. Other programs are then kept out.
    Private,
}

/// Opens a connection with the settings that all connections share. The database must be there.
pub(crate) fn connect(path: &Path, index: LogIndex) -> Result<Connection, Error> {
    let open = || -> Result<Connection, WorkError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match index {
            LogIndex::Shared => Connection::open_with_flags(path, flags)?,
            LogIndex::Private => Connection::open_with_flags_and_vfs(path, flags, c"unix-excl")?,
        };
        // A database that cannot be opened keeps its log, which belongs to what may be put back.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(128);
        // Plans do not depend on the values that are bound. Otherwise SQLite compiles a statement again for every new value.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // FULL: a commit is on the disk before it is answered. With NORMAL, a power cut would lose the last commits.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Overwrite freed pages, so that deleted text does not stay in the file.
        connection.pragma_update(None, "secure_delete", true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        Ok(connection)
    };
    open().map_err(|failure| failure.doing("opening the database"))
}

/// Brings the schema up to date, in one transaction.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), WorkError> {
    let done = connection.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))? as usize;
    if done > MIGRATIONS.len() {
        return Err(Error::StorageNewer { found: done, known: MIGRATIONS.len() }.into());
    }
    if done == MIGRATIONS.len() {
        return Ok(());
    }
    let tx = connection.transaction()?;
    for step in &MIGRATIONS[done..] {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", MIGRATIONS.len() as u32)?;
    tx.commit()?;
    Ok(())
}

/// Whether no migration was run.
pub(crate) fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(number(connection, "PRAGMA user_version")? == 0)
}

/// The tables that everything else refers to, with an index of each that has every row.
const NAMES: [(&str, &str); 3] = [
    ("spaces", "sqlite_autoindex_spaces_1"),
    ("sessions", "sqlite_autoindex_sessions_1"),
    ("fact_sets", "fact_sets_by_definition"),
];

/// The rows of a table and the entries of its index, where these differ: a page of one of them was lost.
type Compared = (&'static str, Result<Option<(u64, u64)>, WorkError>);

/// Compares the tables of names with their indexes. With a lost page they read as if nothing was stored.
pub(crate) fn compare_with_indexes(connection: &Connection) -> impl Iterator<Item = Compared> {
    NAMES.into_iter().map(|(table, index)| {
        // SQLite counts all rows in an index of its own choice.
        let rows = number(connection, &format!("SELECT ifnull(sum(1), 0) FROM {table} NOT INDEXED"));
        let entries =
            number(connection, &format!("SELECT ifnull(sum(1), 0) FROM {table} INDEXED BY {index}"));
        let compared =
            rows.and_then(|rows| entries.map(|entries| (rows != entries).then_some((rows, entries))));
        (table, compared.map_err(WorkError::from))
    })
}

/// Proves that a database that was just opened can be written, without changing a byte of its file.
pub(crate) fn prove_writable_at_start(connection: &mut Connection) -> Result<(), WorkError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    prove_writable(&tx)?;
    tx.rollback()?;
    Ok(())
}

/// Proves inside a transaction that the database can be written and can grow: inserts a row and rolls it back.
pub(crate) fn prove_writable(connection: &Connection) -> Result<(), WorkError> {
    connection.execute_batch("SAVEPOINT probe")?;
    let row = "0".repeat(ROOM as usize);
    // After a failure the caller rolls back; on a full disk SQLite has done so by itself.
    connection.execute("INSERT INTO meta (name, value) VALUES ('probe', ?1)", [row])?;
    Ok(connection.execute_batch("ROLLBACK TO probe; RELEASE probe")?)
}

/// The size of the database's pages, in bytes.
pub(crate) fn page_size(connection: &Connection) -> rusqlite::Result<u64> {
    number(connection, "PRAGMA page_size")
}

/// How many pages of the database are free.
pub(crate) fn free_pages(connection: &Connection) -> rusqlite::Result<u64> {
    number(connection, "PRAGMA freelist_count")
}

fn number(connection: &Connection, sql: &str) -> rusqlite::Result<u64> {
    connection.query_row(sql, [], |row| row.get::<_, u32>(0)).map(u64::from)
}

/// Limits the database to its current size plus this number of bytes, or lifts the limit.
pub(crate) fn limit_size(connection: &Connection, growth: Option<u64>) -> rusqlite::Result<()> {
    const UNLIMITED: u64 = u32::MAX as u64 - 1;
    let pages = match growth {
        Some(bytes) => number(connection, "PRAGMA page_count")? + bytes / page_size(connection)?,
        None => UNLIMITED,
    };
    connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
}
