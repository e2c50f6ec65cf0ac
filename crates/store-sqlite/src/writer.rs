use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use memcloud_domain::Error;
use rusqlite::{Connection, Transaction, ffi};
use tokio::sync::oneshot;

use crate::error::{self, WorkError};
use crate::schema::BUSY_TIMEOUT;

/// The only thread that writes. It commits all waiting work together, so many clients share the cost of one fsync. Each
/// piece of work still succeeds or fails on its own.
pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

enum Job {
    Write(Box<dyn Work>),
    Checkpoint(oneshot::Sender<()>),
}

/// A piece of work in the shared transaction, and the caller that waits for it.
trait Work: Send {
    fn run(&mut self, tx: &mut Transaction<'_>);
    /// Answers the caller, once the transaction has been committed or lost.
    fn answer(self: Box<Self>, committed: Result<(), &Lost>);
}

struct Piece<T, W> {
    doing: &'static str,
    work: Option<W>,
    outcome: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T, W> Work for Piece<T, W>
where
    T: Send,
    W: FnOnce(&Connection) -> Result<T, WorkError> + Send,
{
    fn run(&mut self, tx: &mut Transaction<'_>) {
        if let Some(work) = self.work.take() {
            self.outcome = Some(in_savepoint(tx, work).map_err(|error| error.doing(self.doing)));
        }
    }

    fn answer(self: Box<Self>, committed: Result<(), &Lost>) {
        let result = match (self.outcome, committed) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (_, Err(lost)) => Err(error::storage(lost.code, self.doing, lost.message.clone().into())),
            (None, Ok(())) => Err(Error::ShuttingDown),
        };
        // The caller may be gone. What was written stays written.
        drop(self.reply.send(result));
    }
}

/// Why a transaction was lost, reported to every caller with work in it.
struct Lost {
    code: Option<ffi::Error>,
    message: String,
}

/// How long a checkpoint waits for readers.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_millis(250);

/// The most pieces of work in one transaction, so that the first does not wait long for the others.
const GROUP: usize = 64;

impl Writer {
    pub(crate) fn start(mut connection: Connection) -> Result<Self, Error> {
        let (queue, jobs) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("memory-writer".into())
            .spawn(move || run(&mut connection, &jobs))
            .map_err(|e| Error::Storage { doing: "starting the writer", source: e.into() })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs a piece of work. Returns when it is durable, or when nothing of it has happened.
    pub(crate) async fn write<T, W>(&self, doing: &'static str, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, WorkError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Write(Box::new(Piece { doing, work: Some(work), outcome: None, reply })))?;
        answer.await.map_err(|_| Error::ShuttingDown)?
    }

    /// Checkpoints the write-ahead log and empties it. If another program is reading the database, the checkpoint fails;
    /// the writer then retries it after every later write.
    pub(crate) async fn checkpoint(&self) {
        let (reply, answer) = oneshot::channel();
        if self.send(Job::Checkpoint(reply)).is_ok() {
            // No answer means that the store is being closed, which checkpoints the log, too.
            let _ = answer.await;
        }
    }

    fn send(&self, job: Job) -> Result<(), Error> {
        let queue = self.queue.as_ref().ok_or(Error::ShuttingDown)?;
        queue.send(job).map_err(|_| Error::ShuttingDown)
    }
}

impl Drop for Writer {
    /// Lets the thread finish the work in its queue, and waits for it.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer thread of the store panicked");
        }
    }
}

fn run(connection: &mut Connection, jobs: &mpsc::Receiver<Job>) {
    let mut checkpoint_due = false;
    while let Ok(first) = jobs.recv() {
        let mut works = Vec::new();
        let mut checkpoints = Vec::new();
        for job in std::iter::once(first).chain(jobs.try_iter().take(GROUP - 1)) {
            match job {
                Job::Write(work) => works.push(work),
                Job::Checkpoint(reply) => checkpoints.push(reply),
            }
        }
        if !works.is_empty() {
            commit_together(connection, works);
        }
        if checkpoint_due || !checkpoints.is_empty() {
            checkpoint_due = !checkpoint(connection);
        }
        for reply in checkpoints {
            // The caller may be gone.
            let _ = reply.send(());
        }
    }
}

fn commit_together(connection: &mut Connection, mut works: Vec<Box<dyn Work>>) {
    let committed = (|| {
        let mut tx = connection.transaction()?;
        for work in &mut works {
            work.run(&mut tx);
            // On a full or failing disk SQLite rolls everything back by itself.
            if tx.is_autocommit() {
                let full = ffi::Error::new(ffi::SQLITE_FULL);
                return Err(rusqlite::Error::SqliteFailure(
                    full,
                    Some("the transaction was rolled back".into()),
                ));
            }
        }
        tx.commit()
    })();
    let lost =
        committed.err().map(|error| Lost { code: error.sqlite_error().copied(), message: error.to_string() });
    for work in works {
        work.answer(lost.as_ref().map_or(Ok(()), Err));
    }
}

fn in_savepoint<T>(
    tx: &mut Transaction<'_>,
    work: impl FnOnce(&Connection) -> Result<T, WorkError>,
) -> Result<T, WorkError> {
    // A savepoint that is dropped without a commit is rolled back.
    let savepoint = tx.savepoint()?;
    let value = work(&savepoint)?;
    savepoint.commit()?;
    Ok(value)
}

/// Whether the log could be checkpointed. Waits only briefly for readers, because every store waits behind it.
fn checkpoint(connection: &Connection) -> bool {
    let checkpoint = || -> rusqlite::Result<bool> {
        connection.busy_timeout(CHECKPOINT_TIMEOUT)?;
        let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(!busy)
    };
    match checkpoint() {
        Ok(true) => true,
        Ok(false) => {
            tracing::warn!(
                "another program reads the database; deleted text stays in the write-ahead log until it ends"
            );
            false
        }
        Err(error) => {
            tracing::warn!(%error, "cannot checkpoint the write-ahead log; will retry after the next write");
            false
        }
    }
}
