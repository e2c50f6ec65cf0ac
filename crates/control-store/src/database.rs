use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use memcloud_control::Error;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::WorkError;

/// The migrations, in order. A released migration is never changed. `PRAGMA user_version` counts those that were run.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_control.sql")];
/// How long a lock of another program is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The control plane's data in one SQLite file.
///
/// One connection serves all: each piece of work takes well below a millisecond, and there are few.
#[derive(Clone, Debug)]
pub struct SqliteControlStore {
    connection: Arc<Mutex<Connection>>,
}

impl SqliteControlStore {
    /// Opens the file, or makes it, readable by its owner alone.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let doing = "opening the database of the control plane";
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
        file.map_err(|error| Error::Store { doing, source: error.into() })?;
        let open = || -> Result<Connection, WorkError> {
            let mut connection = Connection::open(path)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.set_prepared_statement_cache_capacity(64);
            connection.pragma_update(None, "journal_mode", "wal")?;
            // FULL: what is answered is on the disk.
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            // Sealed secrets that were replaced do not stay in the file.
            connection.pragma_update(None, "secure_delete", true)?;
            migrate(&mut connection)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| error.doing(doing))?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    /// Does a piece of work in one transaction, on a thread that serves no requests.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, WorkError> + Send + 'static,
    ) -> Result<T, Error> {
        let connection = Arc::clone(&self.connection);
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&tx)?;
            tx.commit()?;
            Ok(done)
        });
        let done = done.await.map_err(|source| Error::Store { doing, source: source.into() })?;
        done.map_err(|error: WorkError| error.doing(doing))
    }
}

fn migrate(connection: &mut Connection) -> Result<(), WorkError> {
    let done = connection.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))? as usize;
    if done > MIGRATIONS.len() {
        let newer = format!(
            "a newer version of memcloud wrote it: schema {done}, this one knows {}",
            MIGRATIONS.len()
        );
        return Err(WorkError::Unreadable(newer.into()));
    }
    if done < MIGRATIONS.len() {
        let tx = connection.transaction()?;
        for step in &MIGRATIONS[done..] {
            tx.execute_batch(step)?;
        }
        tx.pragma_update(None, "user_version", MIGRATIONS.len() as u32)?;
        tx.commit()?;
    }
    Ok(())
}
