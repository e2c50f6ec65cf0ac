use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use memcloud_domain::Error;
use rusqlite::{Connection, TransactionBehavior};

use crate::error::{self, Failure};

/// How long a connection waits for a lock of another.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The schema, step by step. A step that was released is never changed; `PRAGMA user_version` counts the steps done.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_episodes.sql"),
    include_str!("../migrations/0002_intents.sql"),
    include_str!("../migrations/0003_profile.sql"),
    include_str!("../migrations/0004_keys.sql"),
];

/// Makes the database file when it is missing, for its owner only. The log beside it takes over its permissions.
pub(crate) fn create_private(path: &Path) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| error::file("making the database file", error))
}

/// Opens a connection with the settings that every connection has.
pub(crate) fn connect(path: &Path) -> Result<Connection, Error> {
    let open = || -> Result<Connection, Failure> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(128);
        connection.pragma_update(None, "journal_mode", "wal")?;
        // FULL: a commit is on the disk before it is answered. NORMAL would lose the last commits with the power.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Deleted means gone: freed pages are overwritten.
        connection.pragma_update(None, "secure_delete", true)?;
        Ok(connection)
    };
    open().map_err(|failure| failure.doing("opening the database"))
}

/// Proves that the directory has room for a little more, before the database in it is touched: SQLite begins to write
/// when it opens, and on a full disk fails in ways that do not say so.
pub(crate) fn prove_room(directory: &Path) -> Result<(), Error> {
    const ROOM: usize = 128 << 10;
    let path = directory.join("room");
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(&vec![0; ROOM])?;
        file.sync_all()
    };
    let written = write();
    // Whether or not it could be written, nothing of it stays.
    let removed = fs::remove_file(&path);
    written.and(removed).map_err(|error| error::file("looking for room on the disk", error))
}

/// Brings the schema up to date, in one transaction.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let mut work = || -> Result<(), Failure> {
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
    };
    work().map_err(|failure| failure.doing("bringing the schema up to date"))
}

/// Proves that a database that was just opened can be written, without changing a byte of its file.
pub(crate) fn prove_writable_at_start(connection: &mut Connection) -> Result<(), Error> {
    let doing = |error| Failure::from(error).doing("probing the store");
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(doing)?;
    prove_writable(&tx)?;
    tx.rollback().map_err(doing)
}

/// Proves inside a transaction that the database can be written, and leaves nothing behind: a row is written and taken
/// back.
pub(crate) fn prove_writable(connection: &Connection) -> Result<(), Error> {
    let work = || -> Result<(), Failure> {
        connection.execute_batch("SAVEPOINT probe")?;
        let written =
            connection.execute("INSERT INTO meta (name, value) VALUES ('probe', 'of the store')", []);
        connection.execute_batch("ROLLBACK TO probe; RELEASE probe")?;
        written?;
        Ok(())
    };
    work().map_err(|failure| failure.doing("probing the store"))
}
