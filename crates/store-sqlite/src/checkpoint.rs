//! Checkpoints of the write-ahead log: those that keep it short, and those that empty it after a deletion, because until then
//! the log still holds the deleted text.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

/// How long the answer to a deletion waits for readers.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long until the next attempt while a deletion waits.
const SOON: Duration = Duration::from_millis(5);
/// How long until the next attempt later.
const LATER: Duration = Duration::from_secs(1);

/// A checkpoint that is due, if there is one. No attempt waits for a reader, because every store would wait with it.
#[derive(Default)]
pub(crate) struct Checkpoint {
    /// Since when callers wait.
    waiting: Vec<(Instant, oneshot::Sender<()>)>,
    next: Option<Instant>,
    /// Whether the log says that a reader is in the way.
    is_delayed: bool,
}

impl Checkpoint {
    /// Makes a checkpoint due, for a caller that waits.
    pub(crate) fn ask(&mut self, reply: oneshot::Sender<()>) {
        let now = Instant::now();
        self.waiting.push((now, reply));
        self.next = Some(now);
    }

    /// When it is to be tried next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Tries it at its time, and says whether it did.
    pub(crate) fn proceed(&mut self, connection: &Connection) -> bool {
        if self.next.is_none_or(|next| next > Instant::now()) {
            return false;
        }
        let emptied = empty_log(connection);
        let now = Instant::now();
        let has_emptied = matches!(emptied, Ok(true));
        self.waiting.retain(|(since, _)| !has_emptied && now.duration_since(*since) < PATIENCE);
        self.next = match (has_emptied, self.waiting.is_empty()) {
            (true, _) => None,
            (false, false) => Some(now + SOON),
            (false, true) => Some(now + LATER),
        };
        let is_delayed = !has_emptied && self.waiting.is_empty();
        match emptied {
            Ok(true) if self.is_delayed => tracing::info!("deleted text is out of the write-ahead log"),
            Ok(false) if is_delayed && !self.is_delayed => tracing::warn!(
                "another program reads the database; deleted text stays in the write-ahead log until it ends"
            ),
            Err(error) if is_delayed && !self.is_delayed => {
                tracing::warn!(%error, "cannot empty the write-ahead log; will retry");
            }
            _ => {}
        }
        self.is_delayed = is_delayed;
        true
    }
}

/// With this many frames in the log they are copied into the database, as SQLite does by default.
const LONG: u64 = 1_000;

/// Copies what the log has into the database, as far as no reader is in the way. So a new memory is in its own file, with its
/// name, before anything is stored: if its log is lost, the next start knows what was.
pub(crate) fn at_start(connection: &Connection) {
    if let Err(error) = copy_log(connection) {
        tracing::debug!(%error, "cannot copy the write-ahead log into the database at the start");
    }
}

fn copy_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Where a frame of the log begins, in bytes. It begins with the number of a page, of which none is zero.
fn frame(number: u64, page: u64) -> u64 {
    const HEADER: u64 = 32;
    const FRAME_HEADER: u64 = 24;
    HEADER + number * (FRAME_HEADER + page)
}

/// What the write-ahead log holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Log {
    frames: u64,
}

impl Log {
    /// Asks SQLite, which looks at the index of the log in memory.
    pub(crate) fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let mut ask = connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?;
        ask.query_row([], |row| Ok(Self { frames: row.get::<_, i64>(1)?.max(0).cast_unsigned() }))
    }

    pub(crate) fn is_empty(self) -> bool {
        self.frames == 0
    }

    /// How many bytes its file has at least, with pages of this size. See <https://sqlite.org/fileformat2.html#walformat>.
    pub(crate) fn bytes(self, page: u64) -> u64 {
        if self.frames == 0 { 0 } else { frame(self.frames, page) }
    }

    /// Where the log cannot have zeros when it is whole and was written to since `before`: where its last frame of then begins,
    /// and the one after that.
    pub(crate) fn marks(self, before: Self, page: u64) -> impl Iterator<Item = u64> {
        let has_grown = (1..=self.frames).contains(&before.frames);
        let marks = if has_grown {
            [before.frames - 1, before.frames].map(|n| frame(n, page))
        } else {
            [0, frame(0, page)]
        };
        marks.into_iter().filter(move |mark| *mark < self.bytes(page))
    }

    /// Copies a long log into the database, as far as no reader is in the way. The next write then begins at its start.
    pub(crate) fn shorten(self, connection: &Connection) {
        if self.frames < LONG {
            return;
        }
        if let Err(error) = copy_log(connection) {
            tracing::debug!(%error, "cannot copy the write-ahead log into the database; will retry");
        }
    }
}

/// Whether the log could be emptied: not while a connection reads from it.
pub(crate) fn empty_log(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(Duration::ZERO)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0)).map(|busy| !busy)
}
