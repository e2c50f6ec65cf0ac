use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use memcloud_domain::Error;
use rusqlite::{Connection, TransactionBehavior};

use crate::error::{self, WorkError};

/// How long a connection waits for a lock that another one holds.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The migrations, in order. A released migration is never changed. `PRAGMA user_version` counts those that were run.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_episodes.sql"),
    include_str!("../migrations/0002_intents.sql"),
    include_str!("../migrations/0003_profile.sql"),
    include_str!("../migrations/0004_keys.sql"),
    include_str!("../migrations/0005_spaces.sql"),
];

/// Creates the database file if it is missing, for its owner only. SQLite gives the write-ahead log the same permissions.
pub(crate) fn create_private(path: &Path) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| error::file("creating the database file", error))
}

/// Opens a connection with the settings that all connections share.
pub(crate) fn connect(path: &Path) -> Result<Connection, Error> {
    let open = || -> Result<Connection, WorkError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(128);
        connection.pragma_update(None, "journal_mode", "wal")?;
        // FULL: a commit is on the disk before it is answered. With NORMAL, a power cut would lose the last commits.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Overwrite freed pages, so that deleted text does not stay in the file.
        connection.pragma_update(None, "secure_delete", true)?;
        Ok(connection)
    };
    open().map_err(|failure| failure.doing("opening the database"))
}

/// Proves that the disk has a little room left, before SQLite opens the database: SQLite writes when it opens, and on a
/// full disk its errors do not name the cause.
pub(crate) fn prove_room(directory: &Path) -> Result<(), Error> {
    const ROOM: usize = 128 << 10;
    let path = directory.join("room");
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(&vec![0; ROOM])?;
        file.sync_all()
    };
    let written = write();
    // Remove the file even if it could not be written.
    let removed = fs::remove_file(&path);
    written.and(removed).map_err(|error| error::file("checking for free disk space", error))
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

/// Proves that a database that was just opened can be written, without changing a byte of its file.
pub(crate) fn prove_writable_at_start(connection: &mut Connection) -> Result<(), WorkError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    prove_writable(&tx)?;
    tx.rollback()?;
    Ok(())
}

/// Proves inside a transaction that the database can be written: inserts a row and rolls it back.
pub(crate) fn prove_writable(connection: &Connection) -> Result<(), WorkError> {
    connection.execute_batch("SAVEPOINT probe")?;
    let written = connection.execute("INSERT INTO meta (name, value) VALUES ('probe', 'of the store')", []);
    connection.execute_batch("ROLLBACK TO probe; RELEASE probe")?;
    written?;
    Ok(())
}
