use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use memcloud_domain::Error;
use memcloud_ports::PROBE_WITHIN;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, ffi};
use tokio::sync::oneshot;

use crate::answered::Counter;
use crate::checkpoint::{self, Checkpoint, Log};
use crate::error::{self, WorkError};
use crate::files::{Files, Loss};
use crate::meta;
use crate::room::Reserve;
use crate::schema::{self, BUSY_TIMEOUT};
use memcloud_ports::Damage;

/// The only thread that writes. It commits all waiting work together, so many clients share the cost of one fsync. Each
/// piece of work still succeeds or fails on its own.
pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Whether the thread waits for a lock at this moment.
    locked_out: Arc<AtomicBool>,
    files: Arc<Files>,
    damage: Arc<Damage<i64>>,
}

enum Job {
    Write(Line, Waiting),
    Checkpoint(oneshot::Sender<()>),
}

/// Where a piece of work waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// With all that is committed together.
    Short,
    /// With work that takes long. It is committed alone, after all short work that waits.
    Long,
    /// With work that deletes on a full disk. It is committed alone, in the room of the reserve.
    Freeing,
    /// As short work. Nothing is stored, and nothing is counted.
    Probe,
}

/// A piece of work, and since when it waits.
struct Waiting {
    since: Instant,
    count: Count,
    work: Box<dyn Work>,
}

/// Where a piece of work that changes something has its number kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    /// By the work itself, in a row that it changes anyway.
    Itself,
    /// By the writer, in a row for that.
    Apart,
    /// Nowhere: it stores nothing.
    Not,
}

/// A piece of work in the shared transaction, and the caller that waits for it.
trait Work: Send {
    /// Whether it succeeded in the write of this number. If not, nothing of it is left in a transaction that it shares.
    fn run(&mut self, tx: &mut Transaction<'_>, shares: bool, number: u64, damage: &Damage<i64>) -> bool;
    /// Whether it failed because of damage.
    fn met_damage(&self) -> bool;
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
    W: FnOnce(&Connection, u64) -> Result<T, WorkError> + Send,
{
    fn run(&mut self, tx: &mut Transaction<'_>, shares: bool, number: u64, damage: &Damage<i64>) -> bool {
        let Some(work) = self.work.take() else { return false };
        let done = if shares { in_savepoint(tx, |tx| work(tx, number)) } else { work(tx, number) };
        let done = done.inspect_err(|error| error.note(self.doing, damage));
        self.outcome.insert(done.map_err(|error| error.doing(self.doing))).is_ok()
    }

    fn met_damage(&self) -> bool {
        matches!(self.outcome, Some(Err(Error::StorageDamaged { .. })))
    }

    fn answer(self: Box<Self>, committed: Result<(), &Lost>) {
        let result = match (self.outcome, committed) {
            // Whatever else failed, this is why.
            (_, Err(lost @ Lost::Files(_))) => Err(lost.error(self.doing)),
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (_, Err(lost)) => Err(lost.error(self.doing)),
            (None, Ok(())) => Err(Error::ShuttingDown),
        };
        // The caller may be gone. What was written stays written.
        drop(self.reply.send(result));
    }
}

/// Why a transaction was lost, reported to every caller with work in it.
enum Lost {
    Sqlite {
        code: Option<ffi::Error>,
        message: String,
    },
    /// The files are gone or shortened.
    Files(Loss),
}

impl Lost {
    fn error(&self, doing: &'static str) -> Error {
        match self {
            Self::Sqlite { code, message } => error::storage(*code, doing, message.clone().into()),
            Self::Files(loss) => loss.clone().into(),
        }
    }

    /// Another program has emptied the log, as it may.
    fn emptied() -> Self {
        let code = Some(ffi::Error::new(ffi::SQLITE_BUSY));
        Self::Sqlite { code, message: "another program emptied the write-ahead log".into() }
    }

    /// Other work in the transaction met damage. Without it this can be done.
    fn to_damage() -> Self {
        let code = Some(ffi::Error::new(ffi::SQLITE_BUSY));
        Self::Sqlite { code, message: "another request met damage of the database".into() }
    }

    fn is_full(&self) -> bool {
        matches!(self, Self::Sqlite { code: Some(ffi::Error { code: ErrorCode::DiskFull, .. }), .. })
    }
}

impl From<Loss> for Lost {
    fn from(loss: Loss) -> Self {
        Self::Files(loss)
    }
}

impl From<rusqlite::Error> for Lost {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite { code: error.sqlite_error().copied(), message: error.to_string() }
    }
}

/// The most pieces of work in one transaction, so that the first does not wait long for the others.
const GROUP: usize = 64;

/// How long a disk that had room counts as one that has. After each commit the thread looks again, when no one waits for it.
const DISK_IS_KNOWN: Duration = Duration::from_secs(1);

/// What the thread writes with.
pub(crate) struct Output {
    pub(crate) connection: Connection,
    pub(crate) files: Arc<Files>,
    pub(crate) answered: Counter,
    /// The file of the reserve.
    pub(crate) reserve: PathBuf,
}

impl Writer {
    pub(crate) fn start(output: Output, damage: Arc<Damage<i64>>) -> Result<Self, Error> {
        let (queue, jobs) = mpsc::channel();
        let locked_out = Arc::new(AtomicBool::new(false));
        let failed = |error: rusqlite::Error| WorkError::from(error).doing("starting the writer");
        let page = schema::page_size(&output.connection).map_err(failed)?;
        // The thread does that itself, after it has answered.
        output.connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(failed)?;
        let log = Log::of(&output.connection).map_err(failed)?;
        output.files.expect_log(log.bytes(page));
        let files = Arc::clone(&output.files);
        let thread = Thread {
            connection: output.connection,
            files: output.files,
            answered: output.answered,
            reserve: Reserve::take(output.reserve),
            damage: Arc::clone(&damage),
            locked_out: Arc::clone(&locked_out),
            short: VecDeque::new(),
            long: VecDeque::new(),
            checkpoint: Checkpoint::default(),
            is_limited: false,
            looked_at_disk: None,
            page,
            log,
        };
        let thread = std::thread::Builder::new()
            .name("memory-writer".into())
            .spawn(move || thread.run(&jobs))
            .map_err(|e| Error::Storage { doing: "starting the writer", source: e.into() })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), locked_out, files, damage })
    }

    /// Runs a piece of work. Returns when it is durable, or when nothing of it has happened.
    ///
    /// Refuses while the database is damaged: what is written then may be lost.
    pub(crate) async fn write<T, W>(&self, doing: &'static str, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, WorkError> + Send + 'static,
    {
        self.write_in(Line::Short, doing, work).await
    }

    /// The same in another line.
    pub(crate) async fn write_in<T, W>(&self, line: Line, doing: &'static str, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, WorkError> + Send + 'static,
    {
        self.refuse_stores()?;
        self.refused(self.try_in(line, doing, work).await)
    }

    /// The same for work that keeps the number of the write itself, whenever it changes something: with a space.
    pub(crate) async fn store<T, W>(&self, line: Line, doing: &'static str, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection, u64) -> Result<T, WorkError> + Send + 'static,
    {
        self.refuse_stores()?;
        self.refused(self.submit(line, Count::Itself, doing, work).await)
    }

    /// Runs a piece of work also while the database is damaged: one that deletes, or that proves something.
    pub(crate) async fn try_in<T, W>(&self, line: Line, doing: &'static str, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, WorkError> + Send + 'static,
    {
        let count = if line == Line::Probe { Count::Not } else { Count::Apart };
        self.submit(line, count, doing, move |tx, _| work(tx)).await
    }

    fn refuse_stores(&self) -> Result<(), Error> {
        if let Err(refused) = self.damage.refuse_stores() {
            // A file that was shortened is damaged as well.
            self.files.check()?;
            return Err(refused);
        }
        Ok(())
    }

    /// Refuses a store that meets damage as the stores after it are refused.
    fn refused<T>(&self, stored: Result<T, Error>) -> Result<T, Error> {
        if matches!(stored, Err(Error::StorageDamaged { .. })) {
            self.refuse_stores()?;
        }
        stored
    }

    async fn submit<T, W>(&self, line: Line, count: Count, doing: &'static str, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection, u64) -> Result<T, WorkError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(Piece { doing, work: Some(work), outcome: None, reply });
        self.send(Job::Write(line, Waiting { since: Instant::now(), count, work }))?;
        answer.await.map_err(|_| Error::ShuttingDown)?
    }

    /// Runs a piece of work that deletes, on a full disk in the room of the reserve.
    pub(crate) async fn delete<T, W>(&self, doing: &'static str, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, WorkError> + Clone + Send + 'static,
    {
        match self.try_in(Line::Short, doing, work.clone()).await {
            Err(Error::StorageFull(_)) => self.try_in(Line::Freeing, doing, work).await,
            done => done,
        }
    }

    /// Proves that work is being written at this moment.
    pub(crate) async fn probe(&self) -> Result<(), Error> {
        const DOING: &str = "probing the store";
        let proof = self.try_in(Line::Probe, DOING, schema::prove_writable);
        match tokio::time::timeout(PROBE_WITHIN, proof).await {
            Ok(proved) => proved,
            Err(late) if self.locked_out.load(Ordering::Relaxed) => Err(Error::StorageBusy(late.into())),
            Err(late) => Err(Error::Storage { doing: DOING, source: late.into() }),
        }
    }

    /// Checkpoints the write-ahead log and empties it. While another program reads the database this is not possible; the
    /// thread then tries again until it is.
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

struct Thread {
    connection: Connection,
    files: Arc<Files>,
    answered: Counter,
    reserve: Reserve,
    damage: Arc<Damage<i64>>,
    locked_out: Arc<AtomicBool>,
    short: VecDeque<Waiting>,
    long: VecDeque<(Line, Waiting)>,
    checkpoint: Checkpoint,
    /// Whether the size of the database is limited.
    is_limited: bool,
    /// When that was decided.
    looked_at_disk: Option<Instant>,
    /// The size of a page, in bytes.
    page: u64,
    log: Log,
}

impl Thread {
    fn run(mut self, jobs: &mpsc::Receiver<Job>) {
        while self.take(jobs) {
            let short: Vec<Waiting> = self.short.drain(..GROUP.min(self.short.len())).collect();
            if !short.is_empty() {
                self.commit_together(short);
            }
            match self.long.pop_front() {
                Some((Line::Freeing, work)) => self.free(work),
                Some((_, work)) => self.commit_together(vec![work]),
                None => {}
            }
            if self.checkpoint.proceed(&self.connection) {
                self.measure_log();
            }
            self.log.shorten(&self.connection);
        }
    }

    /// Takes all jobs that have come. Waits for one, or for the time of the next checkpoint, when nothing is left to do.
    /// `false` when the store is being closed and nothing is left.
    fn take(&mut self, jobs: &mpsc::Receiver<Job>) -> bool {
        if self.short.is_empty() && self.long.is_empty() {
            let first = match self.checkpoint.next() {
                None => jobs.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
                Some(next) => jobs.recv_timeout(next.saturating_duration_since(Instant::now())),
            };
            match first {
                Ok(job) => self.sort(job),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return false,
            }
        }
        for job in jobs.try_iter() {
            self.sort(job);
        }
        true
    }

    fn sort(&mut self, job: Job) {
        match job {
            Job::Write(Line::Short | Line::Probe, work) => self.short.push_back(work),
            Job::Write(line, work) => self.long.push_back((line, work)),
            Job::Checkpoint(reply) => self.checkpoint.ask(reply),
        }
    }

    fn commit_together(&mut self, mut works: Vec<Waiting>) {
        let before = self.log;
        let committed = self.commit(&mut works);
        self.measure_log();
        self.files.check_written(self.log.marks(before, self.page));
        let committed = match (self.files.check(), committed) {
            // What was written into files that are no longer there, or no longer whole, is lost.
            (Err(loss), _) => Err(Lost::Files(loss)),
            (Ok(()), Err(Lost::Files(_))) => Err(Lost::emptied()),
            (Ok(()), committed) => committed,
        };
        let number = committed.as_ref().copied().unwrap_or_default();
        let committed = committed.map(drop);
        if let Err(Lost::Sqlite { code: Some(code), message }) = &committed
            && code.code == ErrorCode::DatabaseCorrupt
        {
            self.damage.note_structure(|| format!("writing: {message}"));
        }
        let is_full = committed.as_ref().is_err_and(Lost::is_full);
        for waiting in works {
            waiting.work.answer(committed.as_ref().copied());
        }
        // No caller waits for what follows.
        if let Some(number) = number {
            self.answered.set(number);
        }
        if is_full || self.is_limited {
            self.make_room();
        }
        // Where that fails, the next commit looks again.
        let _ = self.limit_size();
    }

    /// On a disk that is almost full, limits the size of the database, so that the write-ahead log always has the room that
    /// deletions need, and stores in place of what was deleted.
    fn limit_size(&mut self) -> rusqlite::Result<()> {
        self.looked_at_disk = None;
        let growth = self.reserve.growth();
        if growth.is_some() || self.is_limited {
            schema::limit_size(&self.connection, growth)?;
        }
        self.is_limited = growth.is_some();
        self.looked_at_disk = Some(Instant::now());
        Ok(())
    }

    /// Moves the write-ahead log into the database and empties it. What waits in the log needs as much room in the database,
    /// so on a disk that is almost full it must not pile up.
    fn make_room(&mut self) {
        if checkpoint::empty_log(&self.connection).is_err() {
            self.reserve.give_up();
            if let Err(error) = checkpoint::empty_log(&self.connection) {
                tracing::warn!(%error, "cannot move the write-ahead log into the database");
            }
        }
        self.reserve.refill();
        self.measure_log();
    }

    /// Notes how long the log is. Not in a transaction, where SQLite does not say.
    fn measure_log(&mut self) {
        // Where that fails, the log is at least as long as it was.
        if let Ok(log) = Log::of(&self.connection) {
            self.log = log;
            self.files.expect_log(log.bytes(self.page));
        }
    }

    /// Returns the number of the write, if it has one.
    fn commit(&mut self, works: &mut [Waiting]) -> Result<Option<u64>, Lost> {
        if works.iter().any(|waiting| waiting.count == Count::Not) {
            self.reserve.refill();
        }
        let waited = works.iter().map(|waiting| waiting.since.elapsed()).max().unwrap_or_default();
        let is_fresh = self.looked_at_disk.is_some_and(|looked| looked.elapsed() < DISK_IS_KNOWN);
        if self.is_limited || !is_fresh {
            self.limit_size()?;
        }
        // What goes into free pages needs room only in the log, which is emptied afterward.
        if self.is_limited && self.log.is_empty() && schema::free_pages(&self.connection)? > 0 {
            self.reserve.give_up();
        }
        self.connection.busy_timeout(BUSY_TIMEOUT.saturating_sub(waited))?;
        self.locked_out.store(true, Ordering::Relaxed);
        // SQLite waits for the lock of another program only when a transaction begins.
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        self.locked_out.store(false, Ordering::Relaxed);
        let mut tx = begun?;
        // SQLite keeps a copy of each page that a savepoint changes.
        let shares = works.len() > 1;
        let number = self.answered.next();
        let (mut counts, mut is_kept, mut succeeded) = (false, false, false);
        for Waiting { count, work, .. } in works {
            let before = tx.total_changes();
            let has_succeeded = work.run(&mut tx, shares, number, &self.damage);
            // On a full or failing disk SQLite rolls everything back by itself.
            if tx.is_autocommit() {
                let message = "the transaction was rolled back".into();
                return Err(Lost::Sqlite { code: Some(ffi::Error::new(ffi::SQLITE_FULL)), message });
            }
            // SQLite writes nothing more in a transaction that met damage.
            if shares && !has_succeeded && work.met_damage() {
                return Err(Lost::to_damage());
            }
            succeeded |= has_succeeded;
            let changes = has_succeeded && tx.total_changes() > before;
            counts |= changes && *count != Count::Not;
            is_kept |= changes && *count == Count::Itself;
        }
        if !succeeded {
            tx.rollback()?;
            return Ok(None);
        }
        // While the database is damaged only deletions are written. They go on without their number, whose row may be damaged.
        let counts = counts && self.damage.refuse_stores().is_ok();
        if counts && !is_kept {
            meta::set_writes(&tx, number)?;
        }
        // As late as possible: what is written now gives a file that was shortened its old size again, with a hole in it.
        self.files.check()?;
        tx.commit()?;
        Ok(counts.then_some(number))
    }

    /// Deletes in the room of the reserve.
    fn free(&mut self, work: Waiting) {
        self.reserve.give_up();
        self.commit_together(vec![work]);
        self.reserve.refill();
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
