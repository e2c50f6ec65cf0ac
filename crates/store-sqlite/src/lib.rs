//! The embedded engine: one SQLite database in the data directory is the truth.
//!
//! Writes go through one thread that owns the only writing connection and commits whatever waits together
//! (`writer`); reads use a few connections of their own (`readers`), so a long read never holds up a store.
//! A commit is synchronized to the disk before it is answered (`synchronous = FULL`).

mod analyses;
mod answered;
mod append;
mod backup;
mod checkpoint;
mod delete;
mod error;
mod files;
mod intents;
mod keys;
mod lock;
mod meta;
mod profile;
mod read;
mod readers;
mod recheck;
mod room;
mod salvage;
mod schema;
mod sessions;
mod spaces;
mod vectors;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use half::f16;
use memcloud_domain::{
    Clock, Episode, EpisodeId, Error, Member, Session, Space, SpaceChanges, SpaceCounts, SpaceInfo, Timestamp,
};
use memcloud_ports::{
    Appended, Batch, Change, Component, ContentLocation, Counts, Cursor, Damage, EpisodeStore, EpisodesOf,
    Health, HealthCheck, History, Idempotency, Intent, Orphan, Position, RecordStore, Selected, Sequence,
    SessionCursor, SessionPage, SessionStore, SessionsOf, SpaceStore, Store, VectorStore,
};

use rusqlite::Connection;

use crate::answered::Counter;
use crate::error::WorkError;
use crate::files::Files;
use crate::lock::DirectoryLock;
use crate::readers::Readers;
use crate::recheck::Recheck;
use crate::room::Reserve;
use crate::schema::LogIndex;
use crate::writer::{Line, Output, Writer};

/// A batch with more episodes than this is long work, and one with more bytes of text.
const SHORT_BATCH: usize = 32;
const SHORT_BATCH_BYTES: usize = 64 << 10;

pub use backup::{Backup, Examination, back_up, examine};
pub use salvage::UnreadableRow;

/// The name of the database in the data directory.
pub const FILE: &str = "memory.sqlite3";
/// What the name of the reserve has after that of the database.
const RESERVE: &str = "-reserve";
/// About how much is deleted in one transaction, in bytes, so that no store waits long for it: some hundred usual messages,
/// or a few large ones.
const DELETED_BYTES: usize = 8 << 20;
/// The same on a full disk: a quarter of the reserve.
const FREED_BYTES: usize = (Reserve::BYTES / 4) as usize;
const OPENING: &str = "opening the database";

/// A store in a directory, which it holds alone until it is dropped.
pub struct SqliteStore {
    clock: Arc<dyn Clock>,
    path: PathBuf,
    memory: String,
    files: Arc<Files>,
    damage: Arc<Damage<i64>>,
    recheck: Recheck,
    // Fields are dropped in this order: reading and writing have ended when the lock is released.
    readers: Readers,
    writer: Writer,
    _lock: DirectoryLock,
}

impl SqliteStore {
    /// Opens the store in this directory, which is made when it is missing; brings its schema up to date, and proves
    /// that it can be written.
    ///
    /// Refuses a directory that another process holds, that cannot be written, whose database is gone, or that a newer
    /// MemCloud has written; nothing in it is changed then. On a full disk the store opens, reads and deletes.
    pub async fn open(directory: &Path, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Self::open_for(directory, clock, ContentLocation::Records).await
    }

    /// The same for a memory whose episodes have their content there.
    pub async fn open_for(
        directory: &Path,
        clock: Arc<dyn Clock>,
        content: ContentLocation,
    ) -> Result<Self, Error> {
        let directory = directory.to_owned();
        error::blocking(OPENING, move || Self::open_now(&directory, clock, content)).await
    }

    fn open_now(directory: &Path, clock: Arc<dyn Clock>, content: ContentLocation) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let lock = DirectoryLock::acquire(directory, &path, || answered::refuse_lost_database(&path))?;
        match room::prove(directory) {
            Err(Error::StorageFull(_)) => {
                tracing::warn!("the disk of {} is full: it serves reads and deletions", directory.display());
            }
            proved => proved?,
        }
        let now = clock.now();
        let damage = Arc::new(Damage::default());
        let opened = open_database(&path, content, now, &damage);
        let (connection, index, identity) = opened.map_err(|error| files::unreadable(&path, error))?;
        let files = Arc::new(Files::of(&path));
        let (memory, answered) = match identity {
            (Some(memory), Some(writes)) if damage.refuse_stores().is_ok() => {
                let answered = Counter::begin(&path, &memory, writes, now)?;
                (memory, answered)
            }
            (memory, _) => (memory.unwrap_or_else(|| answered::memory(&path)), Counter::none()),
        };
        let reserve = sibling(&path, RESERVE);
        let output = Output { connection, files: Arc::clone(&files), answered, reserve };
        let writer = Writer::start(output, Arc::clone(&damage))?;
        let readers = Readers::new(path.clone(), index, Arc::clone(&files), Arc::clone(&damage));
        let recheck = Recheck::default();
        Ok(Self { clock, path, memory, files, damage, recheck, readers, writer, _lock: lock })
    }

    /// Deletes, and removes what was deleted from the write-ahead log, which still holds it until a checkpoint.
    async fn erase<T, W>(&self, doing: &'static str, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> Result<T, WorkError> + Clone + Send + 'static,
    {
        let deleted = self.writer.delete(doing, work).await?;
        self.writer.checkpoint().await;
        Ok(deleted)
    }

    async fn delete_episodes(
        &self,
        space: &Space,
        ids: &[EpisodeId],
        removal: Option<(Intent, Timestamp)>,
    ) -> Result<Vec<EpisodeId>, Error> {
        const DOING: &str = "deleting episodes";
        let (mut deleted, mut waiting, mut lost) = (Vec::new(), vec![ids.to_vec()], 0);
        let outcome = loop {
            let Some(mut ids) = waiting.pop() else {
                break if lost == 0 { Ok(()) } else { Err(Error::Undeletable { episodes: lost }) };
            };
            let work = |bytes| {
                let (of, ids, damage) = (space.clone(), ids.clone(), Arc::clone(&self.damage));
                // What one intent names is removed at once.
                let most = if removal.is_some() { usize::MAX } else { bytes };
                move |tx: &_| delete::delete(tx, &of, &ids, most, removal, &damage)
            };
            // Near damaged rows alone: damage that a deletion meets costs its whole transaction.
            let line = if self.damage.episodes().is_empty() { Line::Short } else { Line::Long };
            let part = match self.writer.try_in(line, DOING, work(DELETED_BYTES)).await {
                Err(Error::StorageFull(_)) => {
                    self.writer.try_in(Line::Freeing, DOING, work(FREED_BYTES)).await
                }
                part => part,
            };
            match part {
                Err(Error::StorageDamaged { .. }) if ids.len() > 1 && removal.is_none() => {
                    waiting.push(ids.split_off(ids.len() / 2));
                    waiting.push(ids);
                }
                Err(Error::StorageDamaged { .. }) if !self.damage.episodes().is_empty() => lost += 1,
                Err(error) => break Err(error),
                Ok(part) => {
                    deleted.extend(part.ids);
                    lost += part.lost;
                    waiting.extend((!part.left.is_empty()).then_some(part.left));
                }
            }
        };
        if !deleted.is_empty() {
            self.writer.checkpoint().await;
        }
        outcome.map(|()| deleted)
    }

    async fn prove(&self) -> Result<(), Error> {
        self.files.check_places()?;
        let directory = self.path.parent().unwrap_or(&self.path).to_owned();
        error::blocking("probing the store", move || room::prove(&directory)).await?;
        self.writer.probe().await?;
        if !self.damage.rows().is_empty() {
            self.recheck.run(&self.readers, &self.damage).await?;
        }
        self.intact()
    }
}

/// Whether a directory holds a memory, or what is left of one.
pub fn holds_memory(directory: &Path) -> bool {
    let path = directory.join(FILE);
    path.exists() || answered::refuse_lost_database(&path).is_err()
}

/// The data directory of a database, for people.
fn place(database: &Path) -> String {
    database.parent().unwrap_or(database).display().to_string()
}

/// The path of a file next to the database: the database's name with a suffix.
fn sibling(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The name of a memory and how many writes it has, where that can be read.
type Identity = (Option<String>, Option<u64>);

/// Opens the database, and returns how its log is indexed and its identity. On a full disk SQLite's own files take
/// the room of the reserve; where that is not enough, it goes without a file for the index of the log.
fn open_database(
    path: &Path,
    content: ContentLocation,
    now: Timestamp,
    damage: &Damage<i64>,
) -> Result<(Connection, LogIndex, Identity), Error> {
    let attempt = |index| {
        let mut connection = schema::connect(path, index)?;
        let place = place(path);
        let identity = prepare(&mut connection, content, &place, now, damage);
        Ok((connection, index, identity.map_err(|error| error.doing(OPENING))?))
    };
    let opened = attempt(LogIndex::Shared);
    let Err(Error::StorageFull(_)) = opened else { return opened };
    // There may be none.
    let _ = std::fs::remove_file(sibling(path, RESERVE));
    match attempt(LogIndex::Shared) {
        Err(Error::StorageFull(_)) => attempt(LogIndex::Private),
        opened => opened,
    }
}

/// Brings the database up to date, and returns its identity. Where a table cannot be read, this goes on without it, so that
/// what can be read is served.
fn prepare(
    connection: &mut Connection,
    content: ContentLocation,
    place: &str,
    now: Timestamp,
    damage: &Damage<i64>,
) -> Result<Identity, WorkError> {
    schema::migrate(connection)?;
    let meta = "opening the table 'meta'";
    past(damage, meta, schema::prove_writable_at_start(connection))?;
    past(damage, meta, meta::bind_content_location(connection, content, place))?;
    // This process holds the directory alone, so every learner with a lease has ended. Leases also end by themselves.
    match past(damage, "opening the table 'targets'", profile::queue::end_leases(connection)) {
        Err(error) if !error.is_full() => return Err(error),
        _ => {}
    }
    for (table, compared) in schema::compare_with_indexes(connection) {
        let doing = format!("opening the table '{table}'");
        if let Some(Some((rows, entries))) = past(damage, &doing, compared)? {
            damage.note_structure(|| format!("{doing}: it has {rows} rows, and its index {entries}"));
        }
    }
    let memory = past(damage, meta, meta::memory(connection, now))?;
    let writes = past(damage, meta, meta::writes(connection))?;
    checkpoint::at_start(connection);
    Ok((memory, writes))
}

/// Notes damage and goes on without the value.
fn past<T>(damage: &Damage<i64>, doing: &str, done: Result<T, WorkError>) -> Result<Option<T>, WorkError> {
    match done {
        Err(error) if error.is_damage() => {
            error.note(doing, damage);
            Ok(None)
        }
        done => Ok(Some(done?)),
    }
}

impl Store for SqliteStore {}

fn line(batch: &Batch) -> Line {
    let bytes: usize = batch.episodes.iter().map(|prepared| prepared.episode.content.len()).sum();
    let is_long = batch.episodes.len() > SHORT_BATCH || bytes > SHORT_BATCH_BYTES;
    if is_long { Line::Long } else { Line::Short }
}

#[async_trait]
impl RecordStore for SqliteStore {
    async fn memory(&self) -> Result<String, Error> {
        Ok(self.memory.clone())
    }

    async fn vectors(&self, ids: &[EpisodeId]) -> Result<Vec<(EpisodeId, Vec<f16>)>, Error> {
        let ids = ids.to_vec();
        self.readers.read("reading vectors", move |c| vectors::of(c, &ids)).await
    }

    async fn intend(&self, ids: Vec<EpisodeId>) -> Result<Intent, Error> {
        let now = self.clock.now();
        let intent = Intent::new(now);
        self.writer.write("recording an intent", move |tx| intents::intend(tx, intent, now, &ids)).await?;
        Ok(intent)
    }

    async fn append_intended(&self, intent: Intent, batch: Batch) -> Result<Appended, Error> {
        let (now, line) = (self.clock.now(), line(&batch));
        let store = move |tx: &_, write| append::append(tx, write, &batch, Some(intent), now);
        self.writer.store(line, "storing episodes", store).await
    }

    async fn withdraw(&self, intent: Intent) -> Result<bool, Error> {
        let now = self.clock.now();
        self.writer.write("withdrawing an intent", move |tx| intents::withdraw(tx, intent, now)).await
    }

    async fn delete_noted(&self, space: &Space, ids: &[EpisodeId]) -> Result<Option<Orphan>, Error> {
        let now = self.clock.now();
        let intent = Intent::new(now);
        let ids = self.delete_episodes(space, ids, Some((intent, now))).await?;
        Ok((!ids.is_empty()).then_some(Orphan { intent, ids }))
    }

    async fn orphans(&self, older: Duration) -> Result<Vec<Orphan>, Error> {
        let now = self.clock.now();
        self.writer.write("listing orphaned episodes", move |tx| intents::orphans(tx, now, older)).await
    }

    async fn clear(&self, intent: Intent) -> Result<(), Error> {
        let now = self.clock.now();
        self.writer.write("clearing an intent", move |tx| intents::clear(tx, intent, now)).await
    }
}

#[async_trait]
impl EpisodeStore for SqliteStore {
    async fn append(&self, batch: Batch) -> Result<Appended, Error> {
        let (now, line) = (self.clock.now(), line(&batch));
        let store = move |tx: &_, write| append::append(tx, write, &batch, None, now);
        self.writer.store(line, "storing episodes", store).await
    }

    async fn repeated(&self, idempotency: Idempotency) -> Result<Option<Vec<EpisodeId>>, Error> {
        self.readers.read("looking for a repeated request", move |c| append::repeated(c, &idempotency)).await
    }

    async fn episodes(&self, space: &Space, ids: &[EpisodeId]) -> Result<Vec<Episode>, Error> {
        const DOING: &str = "reading episodes";
        // A search of the usual size reads a page or two for each hit, most of them from the cache.
        if ids.len() <= 32 {
            let read = self.readers.read_now(DOING, |c| match read::episodes(c, space, ids) {
                Err(error) if error.is_damage() => Ok(None),
                read => read.map(Some),
            });
            if let Some(read) = read? {
                return Ok(read);
            }
        }
        let (space, ids) = (space.clone(), ids.to_vec());
        let (of, all) = (space.clone(), ids.clone());
        let salvage = move |c: &_, damage: &_| salvage::episodes(c, damage, &of, &all);
        self.readers.read_or_salvage(DOING, move |c| read::episodes(c, &space, &ids), salvage).await
    }

    async fn episode(&self, space: &Space, id: EpisodeId) -> Result<Option<Episode>, Error> {
        if let Some(found) = self.episodes(space, &[id]).await?.pop() {
            return Ok(Some(found));
        }
        // It is not there, or the salvage has left it out.
        self.readers.read_now("reading an episode", |c| match read::episodes(c, space, &[id]) {
            Err(error) if error.is_damage() => {
                Err(Error::StorageDamaged { what: format!("the memory {id} cannot be read") }.into())
            }
            read => read.map(|mut found| found.pop()),
        })
    }

    async fn newest(&self, space: &Space, session: &str, limit: usize) -> Result<Vec<Episode>, Error> {
        let (space, session) = (space.clone(), session.to_owned());
        let (of, name) = (space.clone(), session.clone());
        let salvage = move |c: &_, damage: &_| salvage::newest(c, damage, &of, &name, limit);
        let read = move |c: &_| read::newest(c, &space, &session, limit);
        self.readers.read_or_salvage("reading a session", read, salvage).await
    }

    async fn page(
        &self,
        space: &Space,
        session: Option<&str>,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Episode>, Error> {
        let (space, session) = (space.clone(), session.map(str::to_owned));
        let (of, name) = (space.clone(), session.clone());
        let salvage = move |c: &_, damage: &_| salvage::page(c, damage, &of, name.as_deref(), after, limit);
        let read = move |c: &_| read::page(c, &space, session.as_deref(), after, limit);
        self.readers.read_or_salvage("reading a page", read, salvage).await
    }

    async fn select(&self, space: &Space, of: &EpisodesOf) -> Result<Selected, Error> {
        let (space, of) = (space.clone(), of.clone());
        let (within, wanted) = (space.clone(), of.clone());
        let salvage = move |c: &_, damage: &_| salvage::select(c, damage, &within, &wanted);
        self.readers
            .read_or_salvage("finding episodes", move |c| delete::select(c, &space, &of), salvage)
            .await
    }

    async fn delete(&self, space: &Space, ids: &[EpisodeId]) -> Result<u64, Error> {
        if ids.is_empty() {
            return Ok(0);
        }
        Ok(self.delete_episodes(space, ids, None).await?.len() as u64)
    }

    async fn counts(&self) -> Result<Counts, Error> {
        self.readers.read("counting", read::counts).await
    }
}

#[async_trait]
impl History for SqliteStore {
    async fn head(&self, space: &Space) -> Result<Sequence, Error> {
        let salvage = |c: &_, _: &_| salvage::head(c, space);
        self.readers.read_now_or_salvage("reading a space's head", |c| read::head(c, space), salvage)
    }

    async fn changes(
        &self,
        space: &Space,
        after: Position,
        limit: usize,
    ) -> Result<Option<Vec<Change>>, Error> {
        let space = space.clone();
        let of = space.clone();
        let salvage = move |c: &_, damage: &_| salvage::changes(c, damage, &of, after, limit);
        let read = move |c: &_| read::changes(c, &space, after, limit);
        self.readers.read_or_salvage("reading changes", read, salvage).await
    }

    async fn set_analyses(&self, analyses: Vec<(EpisodeId, Vec<u8>)>) -> Result<(), Error> {
        self.writer.write("storing analyses", move |tx| analyses::set(tx, &analyses)).await
    }
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn session(
        &self,
        space: &Space,
        name: &str,
        most_members: usize,
    ) -> Result<Option<Session>, Error> {
        let (space, name) = (space.clone(), name.to_owned());
        self.readers.read("reading a session", move |c| read::session(c, &space, &name, most_members)).await
    }

    async fn members(&self, space: &Space, session: &str, names: &[String]) -> Result<Vec<Member>, Error> {
        let (space, session, names) = (space.clone(), session.to_owned(), names.to_vec());
        self.readers.read("reading members", move |c| read::members(c, &space, &session, &names)).await
    }

    async fn sessions(
        &self,
        of: &SessionsOf,
        after: Option<SessionCursor>,
        limit: usize,
    ) -> Result<SessionPage, Error> {
        let of = of.clone();
        let all = of.clone();
        let salvage = move |c: &_, damage: &_| salvage::sessions(c, damage, &all, after, limit);
        let read = move |c: &_| read::sessions(c, &of, after, limit);
        self.readers.read_or_salvage("listing sessions", read, salvage).await
    }

    async fn remove_sessions(&self, space: &Space, names: &[String]) -> Result<bool, Error> {
        let (space, names) = (space.clone(), names.to_vec());
        self.erase("removing sessions", move |tx| sessions::remove(tx, &space, &names)).await
    }

    async fn remove_person(&self, space: &Space, name: &str) -> Result<bool, Error> {
        let (space, name) = (space.clone(), name.to_owned());
        self.erase("removing a person", move |tx| sessions::remove_person(tx, &space, &name)).await
    }
}

#[async_trait]
impl SpaceStore for SqliteStore {
    async fn spaces(&self, after: Option<&Space>, limit: usize) -> Result<Vec<SpaceInfo>, Error> {
        let after = after.cloned().unwrap_or(Space { org: String::new(), project: String::new() });
        let first = after.clone();
        let salvage = move |c: &_, _: &_| salvage::spaces(c, &first, limit);
        self.readers.read_or_salvage("reading spaces", move |c| spaces::list(c, &after, limit), salvage).await
    }

    async fn describe_space(&self, space: &Space) -> Result<Option<(SpaceInfo, SpaceCounts)>, Error> {
        let space = space.clone();
        self.readers.read("reading a space", move |connection| spaces::describe(connection, &space)).await
    }

    async fn configure_space(&self, space: &Space, changes: SpaceChanges) -> Result<bool, Error> {
        let space = space.clone();
        self.writer.write("configuring a space", move |tx| spaces::configure(tx, &space, &changes)).await
    }

    async fn put_space(&self, space: &SpaceInfo) -> Result<(), Error> {
        let space = space.clone();
        let now = self.clock.now();
        self.writer.write("keeping a space", move |tx| spaces::put(tx, &space, now)).await
    }

    async fn begin_space_deletion(&self, space: &Space) -> Result<bool, Error> {
        let space = space.clone();
        self.erase("deleting a space", move |tx| spaces::begin_deletion(tx, &space)).await
    }

    async fn hidden_spaces(&self) -> Result<Vec<Space>, Error> {
        self.readers.read("reading spaces", spaces::hidden).await
    }

    async fn remove_space(&self, hidden: &Space) -> Result<(), Error> {
        let hidden = hidden.clone();
        self.erase("removing a space", move |tx| spaces::remove(tx, &hidden)).await
    }
}

#[async_trait]
impl VectorStore for SqliteStore {
    async fn bind_vector_space(&self, running: &str) -> Result<(), Error> {
        // A damaged store that is bound already serves.
        if self.vector_space().await.is_ok_and(|stored| stored.as_deref() == Some(running)) {
            return Ok(());
        }
        let running = running.to_owned();
        self.writer.write("binding the vector space", move |tx| meta::bind_vector_space(tx, &running)).await
    }

    async fn vector_space(&self) -> Result<Option<String>, Error> {
        self.readers.read("reading the vector space", meta::vector_space).await
    }

    async fn without_vector(&self, limit: usize) -> Result<Vec<Episode>, Error> {
        let salvage = move |c: &_, damage: &_| salvage::without_vector(c, damage, limit);
        let read = move |c: &_| read::without_vector(c, limit);
        self.readers.read_or_salvage("reading episodes without vectors", read, salvage).await
    }

    async fn set_vectors(&self, vectors: Vec<(EpisodeId, Vec<f16>)>) -> Result<(), Error> {
        self.writer.write("storing vectors", move |tx| vectors::set(tx, &vectors)).await
    }
}

#[async_trait]
impl Health for SqliteStore {
    async fn probe(&self) -> Vec<HealthCheck> {
        vec![HealthCheck { component: Component::Store, outcome: self.prove().await }]
    }

    fn intact(&self) -> Result<(), Error> {
        answered::refuse_incomplete(&self.path)?;
        self.damage.check()
    }
}
