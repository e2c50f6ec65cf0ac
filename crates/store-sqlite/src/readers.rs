use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use memcloud_domain::Error;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::error::{self, WorkError};
use crate::files::Files;
use crate::schema::{self, LogIndex};
use memcloud_ports::Damage;

/// Connections for reading, opened when needed and kept for the next read.
pub(crate) struct Readers {
    pool: Arc<Pool>,
    turns: Arc<Semaphore>,
}

struct Pool {
    path: PathBuf,
    index: LogIndex,
    files: Arc<Files>,
    damage: Arc<Damage<i64>>,
    idle: Mutex<Vec<Connection>>,
}

/// More than these are closed after use: reads are short, and each connection holds a cache.
const KEPT: usize = 4;

/// How many reads run at once on threads that may block. What they read is not yet counted in the memory of requests, so
/// however many ask, that is no more than these hold.
const AT_ONCE: usize = 8;

impl Readers {
    pub(crate) fn new(path: PathBuf, index: LogIndex, files: Arc<Files>, damage: Arc<Damage<i64>>) -> Self {
        let pool = Arc::new(Pool { path, index, files, damage, idle: Mutex::default() });
        Self { pool, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Runs a read at once, on this thread: for a few rows by their keys, where the way to another thread and back would
    /// take longer than the read.
    pub(crate) fn read_now<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, WorkError>,
    ) -> Result<T, Error> {
        self.pool.read(doing, work)
    }

    /// The same. If it meets damage, `salvage` reads what can be read.
    pub(crate) fn read_now_or_salvage<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, WorkError>,
        salvage: impl FnOnce(&Connection, &Damage<i64>) -> Result<T, WorkError>,
    ) -> Result<T, Error> {
        let damage = Arc::clone(&self.pool.damage);
        self.pool.read(doing, salvaging(doing, &damage, work, salvage))
    }

    /// Runs a read on a thread that may block. If it meets damage, `salvage` reads what can be read.
    pub(crate) async fn read_or_salvage<T, W, S>(
        &self,
        doing: &'static str,
        work: W,
        salvage: S,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, WorkError> + Send + 'static,
        S: FnOnce(&Connection, &Damage<i64>) -> Result<T, WorkError> + Send + 'static,
    {
        let damage = Arc::clone(&self.pool.damage);
        self.read(doing, move |connection| salvaging(doing, &damage, work, salvage)(connection)).await
    }

    /// Runs a read on a thread that may block, when it is its turn. The turn ends when the caller has the result, which it
    /// can count before it waits for anything else.
    pub(crate) async fn read<T, W>(&self, doing: &'static str, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, WorkError> + Send + 'static,
    {
        let pool = Arc::clone(&self.pool);
        // No one closes it.
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok();
        // A read whose caller is gone keeps its turn as well, to its end.
        let (read, _turn) = error::blocking(doing, move || Ok((pool.read(doing, work)?, turn))).await?;
        Ok(read)
    }
}

/// Reads, and where that meets damage reads what can be read.
fn salvaging<T>(
    doing: &'static str,
    damage: &Damage<i64>,
    work: impl FnOnce(&Connection) -> Result<T, WorkError>,
    salvage: impl FnOnce(&Connection, &Damage<i64>) -> Result<T, WorkError>,
) -> impl FnOnce(&Connection) -> Result<T, WorkError> {
    move |connection| match work(connection) {
        Err(error) if error.is_damage() => {
            let saved = salvage(connection, damage)?;
            if damage.rows().is_empty() {
                error.note(doing, damage);
            }
            Ok(saved)
        }
        done => done,
    }
}

impl Pool {
    fn read<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, WorkError>,
    ) -> Result<T, Error> {
        let connection = self.take()?;
        let result = work(&connection).map_err(|failure| self.failed(failure, doing));
        self.give_back(connection);
        result
    }

    /// Why a read failed.
    fn failed(&self, failure: WorkError, doing: &'static str) -> Error {
        // SQLite says only that it cannot read.
        if matches!(failure, WorkError::Sqlite(_))
            && let Err(loss) = self.files.check()
        {
            return loss.into();
        }
        failure.note(doing, &self.damage);
        failure.doing(doing)
    }

    fn take(&self) -> Result<Connection, Error> {
        if let Some(idle) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(idle);
        }
        // A new connection must not read another database than those before.
        self.files.check_places()?;
        schema::connect(&self.path, self.index)
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(connection);
        }
    }
}
