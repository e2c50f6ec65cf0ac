//! The PostgreSQL engine: all of a memory in one database, or the records of one whose episodes are in Neo4j.
//!
//! One statement or one transaction does each thing; the space's row is what writers of a space wait for, so its
//! sequence numbers have no gaps that are filled later. Vectors are pgvector's `halfvec`, which holds the sixteen bits
//! that ranking reads; `words` is a `tsvector`; both are there for people's own SQL, too.

/// How often a transaction that collided with another one is tried.
const ATTEMPTS: usize = 4;

/// Tries a transaction again that collided with another one. (As a function over the transaction its future could not be
/// sent between threads.)
macro_rules! retried {
    ($transaction:expr) => {{
        let mut attempt = 1;
        loop {
            match $transaction.await {
                Err(failure) if failure.collided() && attempt < $crate::ATTEMPTS => attempt += 1,
                done => break done,
            }
        }
    }};
}

mod append;
mod columns;
mod connect;
mod delete;
mod error;
mod examine;
mod intents;
mod keys;
mod profile;
mod read;
mod schema;
mod target;
mod tls;
mod vectors;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::Object;
use half::f16;
use memcloud_domain::{Database, Episode, EpisodeId, Error, Session as Conversation, Space};
use memcloud_ports::{
    Appended, Batch, Change, Check, ContentLocation, Counts, Cursor, Deletion, EpisodeStore, Health, History,
    Idempotency, Intent, Orphan, PROBE_WITHIN, Part, RecordStore, Sequence, SessionStore, SessionsOf,
    VectorStore,
};
use memcloud_store_connection::{Connection, Timeouts};
use uuid::Uuid;

use crate::connect::{Opener, Session};
use crate::error::Failure;

pub use examine::{Findings, examine};
pub use target::{Host, Target, Tls};

/// How long a deletion may take: a session may be long.
const LONG: Duration = Duration::from_mins(1);

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    link: Connection<Opener>,
}

impl PostgresStore {
    /// Opens a store that keeps everything in this database. It is there at once; while the database cannot be reached,
    /// every operation says so.
    pub async fn open(target: Target) -> Self {
        Self::open_for(target, ContentLocation::Records).await
    }

    /// The same for the records of episodes whose content is kept elsewhere.
    pub async fn open_records(target: Target) -> Self {
        Self::open_for(target, ContentLocation::Graph).await
    }

    async fn open_for(target: Target, home: ContentLocation) -> Self {
        Self { link: Connection::start(Opener { target, home }, Timeouts::default()).await }
    }

    async fn append_batch(&self, batch: &Batch, intent: Option<Intent>) -> Result<Appended, Error> {
        let committing = AtomicBool::new(false);
        let append = |client| append::append(client, batch, intent, &committing);
        self.again("storing episodes", append).await.map_err(|error| {
            // Nobody waited for the answer to the last word.
            let unknown = error.lost_connection() && committing.load(Ordering::Relaxed);
            if unknown { Error::OutcomeUnknown { database: Database::Postgres } } else { error }
        })
    }

    async fn delete_noting(
        &self,
        space: &Space,
        deletion: &Deletion,
        elsewhere: Option<Intent>,
    ) -> Result<Vec<EpisodeId>, Error> {
        let delete = |mut client: Object| async move {
            retried!(delete::delete(&mut client, space, deletion, elsewhere))
        };
        self.once("deleting episodes", delete).await
    }

    /// Runs one piece of work that may take its time, with a connection of its own.
    async fn once<T, F>(&self, doing: &'static str, work: impl FnOnce(Object) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        self.link.run_within(LONG, |session| with_client(session, doing, work)).await
    }

    /// Runs a piece of work that must not be done twice.
    async fn at_once<T, F>(&self, doing: &'static str, work: impl FnOnce(Object) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        self.link.run(|session| with_client(session, doing, work)).await
    }

    /// Runs a piece of work that does no harm when it is done twice; once more when its connection breaks.
    async fn again<T, F>(&self, doing: &'static str, work: impl Fn(Object) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        self.link.run_idempotent(|session| with_client(session, doing, &work)).await
    }
}

async fn with_client<T, F>(
    session: Session,
    doing: &'static str,
    work: impl FnOnce(Object) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Failure>>,
{
    let run = async { work(session.client().await?).await };
    run.await.map_err(|failure: Failure| failure.doing(doing))
}

/// How an id is written in the database.
fn uuid(id: &EpisodeId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

fn id(uuid: Uuid) -> EpisodeId {
    EpisodeId::from_bytes(uuid.into_bytes())
}

#[async_trait]
impl EpisodeStore for PostgresStore {
    async fn append(&self, batch: Batch) -> Result<Appended, Error> {
        self.append_batch(&batch, None).await
    }

    async fn repeated(&self, idempotency: Idempotency) -> Result<Option<Vec<EpisodeId>>, Error> {
        self.again("looking for a repeated request", |client| append::repeated(client, &idempotency)).await
    }

    async fn episodes(&self, space: &Space, ids: &[EpisodeId]) -> Result<Vec<Episode>, Error> {
        self.again("reading episodes", |client| read::episodes(client, space, ids)).await
    }

    async fn newest(&self, space: &Space, session: &str, limit: usize) -> Result<Vec<Episode>, Error> {
        self.again("reading a session", |client| read::newest(client, space, session, limit)).await
    }

    async fn page(
        &self,
        space: &Space,
        session: Option<&str>,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Episode>, Error> {
        self.again("reading a page", |client| read::page(client, space, session, after, limit)).await
    }

    async fn delete(&self, space: &Space, deletion: Deletion) -> Result<u64, Error> {
        Ok(self.delete_noting(space, &deletion, None).await?.len() as u64)
    }

    async fn counts(&self) -> Result<Counts, Error> {
        self.again("counting", read::counts).await
    }
}

#[async_trait]
impl History for PostgresStore {
    async fn head(&self, space: &Space) -> Result<Sequence, Error> {
        self.again("reading a space's head", |client| read::head(client, space)).await
    }

    async fn changes(&self, space: &Space, after: Sequence, limit: usize) -> Result<Vec<Change>, Error> {
        self.again("reading changes", |client| read::changes(client, space, after, limit)).await
    }
}

#[async_trait]
impl SessionStore for PostgresStore {
    async fn session(&self, space: &Space, name: &str) -> Result<Option<Conversation>, Error> {
        self.again("reading a session", |client| read::session(client, space, name)).await
    }

    async fn sessions(&self, of: SessionsOf) -> Result<Vec<Conversation>, Error> {
        self.again("listing sessions", |client| read::sessions(client, &of)).await
    }
}

#[async_trait]
impl VectorStore for PostgresStore {
    async fn bind_vector_space(&self, running: &str) -> Result<(), Error> {
        let bind = |client| schema::bind_vector_space(client, running);
        let stored = self.again("binding the vector space", bind).await?;
        if stored == running {
            Ok(())
        } else {
            Err(Error::OtherVectorSpace { stored, running: running.into() })
        }
    }

    async fn vector_space(&self) -> Result<Option<String>, Error> {
        self.again("reading the vector space", read::vector_space).await
    }

    async fn without_vector(&self, limit: usize) -> Result<Vec<Episode>, Error> {
        self.again("reading episodes without vectors", |client| read::without_vector(client, limit)).await
    }

    async fn set_vectors(&self, vectors: Vec<(EpisodeId, Vec<f16>)>) -> Result<(), Error> {
        self.again("storing vectors", |client| vectors::set(client, &vectors)).await
    }
}

#[async_trait]
impl Health for PostgresStore {
    async fn probe(&self) -> Vec<Check> {
        let probe = |session| with_client(session, "probing the store", schema::prove_writable);
        let outcome = self.link.run_within(PROBE_WITHIN, probe).await;
        vec![Check { part: Part::Database(Database::Postgres), outcome }]
    }
}

#[async_trait]
impl RecordStore for PostgresStore {
    async fn memory(&self) -> Result<String, Error> {
        self.link.run(|session| async move { Ok(session.memory) }).await
    }

    async fn vectors(&self, ids: &[EpisodeId]) -> Result<Vec<(EpisodeId, Vec<f16>)>, Error> {
        self.again("reading vectors", |client| vectors::of(client, ids)).await
    }

    async fn intend(&self, ids: Vec<EpisodeId>) -> Result<Intent, Error> {
        let intent = Intent::new();
        self.again("noting an intent", |client| intents::intend(client, intent, &ids)).await?;
        Ok(intent)
    }

    async fn append_intended(&self, intent: Intent, batch: Batch) -> Result<Appended, Error> {
        self.append_batch(&batch, Some(intent)).await
    }

    async fn withdraw(&self, intent: Intent) -> Result<bool, Error> {
        self.again("withdrawing an intent", |client| intents::withdraw(client, intent)).await
    }

    async fn delete_noted(&self, space: &Space, deletion: Deletion) -> Result<Option<Orphan>, Error> {
        let intent = Intent::new();
        let ids = self.delete_noting(space, &deletion, Some(intent)).await?;
        Ok((!ids.is_empty()).then_some(Orphan { intent, ids }))
    }

    async fn orphans(&self, older: Duration) -> Result<Vec<Orphan>, Error> {
        self.again("listing what is left to remove", |client| intents::orphans(client, older)).await
    }

    async fn clear(&self, intent: Intent) -> Result<(), Error> {
        self.again("clearing an intent", |client| intents::clear(client, intent)).await
    }
}
