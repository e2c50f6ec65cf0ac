use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use memcloud_domain::Error;
use rusqlite::{Connection, Transaction, ffi};
use tokio::sync::oneshot;

use crate::error::{self, Failure};
use crate::schema::BUSY_TIMEOUT;

/// The one thread that writes. Whatever waits when it is free is committed together, so many clients share the cost of
/// one synchronisation with the disk; each piece of work still succeeds or fails on its own.
pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

enum Job {
    Write(Box<dyn Work>),
    FoldLog(oneshot::Sender<()>),
}

/// A piece of work in the shared transaction, and the one who waits for it.
trait Work: Send {
    fn run(&mut self, tx: &mut Transaction<'_>);
    /// Tells how it ended, once the fate of the transaction is known.
    fn answer(self: Box<Self>, fate: Result<(), &Lost>);
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
    W: FnOnce(&Connection) -> Result<T, Error> + Send,
{
    fn run(&mut self, tx: &mut Transaction<'_>) {
        if let Some(work) = self.work.take() {
            self.outcome = Some(in_savepoint(tx, self.doing, work));
        }
    }

    fn answer(self: Box<Self>, fate: Result<(), &Lost>) {
        let result = match (self.outcome, fate) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (_, Err(lost)) => Err(error::storage(lost.code, self.doing, lost.message.clone().into())),
            (None, Ok(())) => Err(Error::ShuttingDown),
        };
        // Whoever asked may have gone; what was written stays written.
        drop(self.reply.send(result));
    }
}

/// Why a transaction was lost, told to everyone who had a part in it.
struct Lost {
    code: Option<ffi::Error>,
    message: String,
}

/// How long folding the log waits for readers.
const FOLD_PATIENCE: Duration = Duration::from_millis(250);

/// The most pieces of work in one transaction, so that the first does not wait for too many others.
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

    /// Runs a piece of work and answers when it is durable, or when nothing of it has happened.
    pub(crate) async fn write<T, W>(&self, doing: &'static str, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Write(Box::new(Piece { doing, work: Some(work), outcome: None, reply })))?;
        answer.await.map_err(|_| Error::ShuttingDown)?
    }

    /// Folds the write-ahead log into the database and empties it. While another program reads the database that cannot be
    /// done; then it is tried again after every later write.
    pub(crate) async fn fold_log(&self) {
        let (reply, answer) = oneshot::channel();
        if self.send(Job::FoldLog(reply)).is_ok() {
            // No answer means that the store is being closed, which folds the log as well.
            let _ = answer.await;
        }
    }

    fn send(&self, job: Job) -> Result<(), Error> {
        let queue = self.queue.as_ref().ok_or(Error::ShuttingDown)?;
        queue.send(job).map_err(|_| Error::ShuttingDown)
    }
}

impl Drop for Writer {
    /// Ends the thread after the work that it has been given.
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
    let mut must_fold = false;
    while let Ok(first) = jobs.recv() {
        let mut works = Vec::new();
        let mut folds = Vec::new();
        for job in std::iter::once(first).chain(jobs.try_iter().take(GROUP - 1)) {
            match job {
                Job::Write(work) => works.push(work),
                Job::FoldLog(reply) => folds.push(reply),
            }
        }
        if !works.is_empty() {
            commit_together(connection, works);
        }
        if must_fold || !folds.is_empty() {
            must_fold = !fold_log(connection);
        }
        for reply in folds {
            // Whoever asked may have gone.
            let _ = reply.send(());
        }
    }
}

fn commit_together(connection: &mut Connection, mut works: Vec<Box<dyn Work>>) {
    let fate = (|| {
        let mut tx = connection.transaction()?;
        for work in &mut works {
            work.run(&mut tx);
            // A full or failing disk makes SQLite roll everything back by itself.
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
        fate.err().map(|error| Lost { code: error.sqlite_error().copied(), message: error.to_string() });
    for work in works {
        work.answer(lost.as_ref().map_or(Ok(()), Err));
    }
}

fn in_savepoint<T>(
    tx: &mut Transaction<'_>,
    doing: &'static str,
    work: impl FnOnce(&Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    // A savepoint that is dropped without a commit is rolled back.
    let savepoint = tx.savepoint().map_err(|e| Failure::from(e).doing(doing))?;
    let value = work(&savepoint)?;
    savepoint.commit().map_err(|e| Failure::from(e).doing(doing))?;
    Ok(value)
}

/// Whether the log could be folded. Does not wait for readers for long: they would hold up every store.
fn fold_log(connection: &Connection) -> bool {
    let fold = || -> rusqlite::Result<bool> {
        connection.busy_timeout(FOLD_PATIENCE)?;
        let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(!busy)
    };
    match fold() {
        Ok(true) => true,
        Ok(false) => {
            tracing::warn!(
                "another program reads the database: what was deleted stays in its log until it ends"
            );
            false
        }
        Err(error) => {
            tracing::warn!(%error, "the log of the database could not be folded; it is tried again");
            false
        }
    }
}
