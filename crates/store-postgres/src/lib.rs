//! The PostgreSQL engine: all of a memory in one database, or the records of one whose episodes are in Neo4j.
//!
//! Each operation is one statement or one transaction. Writers of a space lock its row, so no gap in its sequence
//! numbers is filled later. Vectors are pgvector's `halfvec`, which holds the sixteen bits that ranking reads; `words` is
//! a `tsvector`. Both also serve operators' own SQL.
//!
//! Intents are timed by the database's clock, not by the server's: several servers share them.

/// How often a transaction that conflicts with another one is tried.
const ATTEMPTS: usize = 4;

/// Runs a transaction, and again if it conflicts with another one. A macro, because the future of a function that takes
/// the transaction as a closure could not be sent between threads.
macro_rules! retry_conflicts {
    ($transaction:expr) => {{
        let mut attempt = 1;
        loop {
            match $transaction.await {
                Err(failure) if failure.is_conflict() && attempt < $crate::ATTEMPTS => attempt += 1,
                done => break done,
            }
        }
    }};
}

mod append;
mod connect;
mod delete;
mod error;
mod examine;
mod history;
mod intents;
mod keys;
mod profile;
mod query;
mod read;
mod removal;
mod schema;
mod sessions;
mod spaces;
mod target;
mod tls;
mod vectors;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::Object;
use half::f16;
use memcloud_domain::{Clock, Database, Episode, EpisodeId, Error, Space};
use memcloud_ports::{
    Appended, Batch, Component, ContentLocation, Counts, Cursor, Damage, EpisodeStore, EpisodesOf, Health,
    HealthCheck, Idempotency, Intent, Orphan, PROBE_WITHIN, RecordStore, Selected, Store, VectorStore,
};
use memcloud_store_connection::{Connection, Timeouts};
use uuid::Uuid;

use crate::connect::{OpenDatabase, Opener};
use crate::error::WorkError;

pub use examine::{Findings, examine, reach};
pub use memcloud_store_connection::address::{InvalidAddress, Remedy};
pub use target::{Host, Target, Tls};

/// How long a deletion may take, and the search for what to delete.
const LONG: Duration = Duration::from_mins(1);

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    connection: Connection<Opener>,
    clock: Arc<dyn Clock>,
    damage: Damage<EpisodeId>,
}

impl PostgresStore {
    /// Opens a store that keeps everything in this database. Returns even when the database cannot be reached; every
    /// operation then returns that error.
    pub async fn open(target: Target, clock: Arc<dyn Clock>) -> Self {
        Self::open_for(target, clock, ContentLocation::Records).await
    }

    /// The same for a memory whose episodes have their content there.
    pub async fn open_for(target: Target, clock: Arc<dyn Clock>, content: ContentLocation) -> Self {
        let opener = Opener { target, content, clock: Arc::clone(&clock) };
        let connection = Connection::start(opener, Timeouts::default()).await;
        Self { connection, clock, damage: Damage::default() }
    }

    async fn append_batch(&self, batch: &Batch, intent: Option<Intent>) -> Result<Appended, Error> {
        let committing = AtomicBool::new(false);
        let append = |client| append::append(client, batch, intent, &committing);
        self.run_idempotent("storing episodes", append).await.map_err(|error| {
            // The store timed out during COMMIT.
            let unknown = error.lost_connection() && committing.load(Ordering::Relaxed);
            if unknown { Error::OutcomeUnknown { database: Database::Postgres } } else { error }
        })
    }

    async fn delete_with_intent(
        &self,
        space: &Space,
        ids: &[EpisodeId],
        removal: Option<Intent>,
    ) -> Result<Vec<EpisodeId>, Error> {
        let delete = |mut client: Object| async move {
            retry_conflicts!(delete::delete(&mut client, space, ids, removal))
        };
        self.run_long("deleting episodes", delete).await
    }

    /// Runs work that may take long.
    async fn run_long<T, F>(&self, doing: &'static str, work: impl FnOnce(Object) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, WorkError>>,
    {
        let done = self.connection.run_within(LONG, |database| with_client(database, doing, work)).await;
        done.inspect_err(|error| self.damage.note(error))
    }

    /// Runs work that must not be done twice.
    async fn run<T, F>(&self, doing: &'static str, work: impl FnOnce(Object) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, WorkError>>,
    {
        let done = self.connection.run(|database| with_client(database, doing, work)).await;
        done.inspect_err(|error| self.damage.note(error))
    }

    /// Runs work that may be done twice. If the connection breaks, it is run once more.
    async fn run_idempotent<T, F>(&self, doing: &'static str, work: impl Fn(Object) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, WorkError>>,
    {
        let done = self.connection.run_idempotent(|database| with_client(database, doing, &work)).await;
        done.inspect_err(|error| self.damage.note(error))
    }
}

impl PostgresStore {
    /// Proves that the database can be written, and that all that was read of it could be read.
    async fn prove(&self, client: Object) -> Result<(), WorkError> {
        read::forget_gone(&client, &self.damage).await?;
        schema::prove_writable(client).await?;
        Ok(self.damage.check()?)
    }
}

async fn with_client<T, F>(
    database: OpenDatabase,
    doing: &'static str,
    work: impl FnOnce(Object) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, WorkError>>,
{
    let run = async { work(database.client().await?).await };
    run.await.map_err(|failure: WorkError| failure.doing(doing))
}

/// An id as the database has it.
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
        let repeated = |client: Object| async move { append::repeated(&client, &idempotency).await };
        self.run_idempotent("looking for a repeated request", repeated).await
    }

    async fn episodes(&self, space: &Space, ids: &[EpisodeId]) -> Result<Vec<Episode>, Error> {
        self.run_idempotent("reading episodes", |client| read::episodes(client, &self.damage, space, ids))
            .await
    }

    async fn episode(&self, space: &Space, id: EpisodeId) -> Result<Option<Episode>, Error> {
        let found = self.episodes(space, &[id]).await?.pop();
        found.is_none().then(|| self.damage.refuse_unreadable(id)).transpose()?;
        Ok(found)
    }

    async fn newest(&self, space: &Space, session: &str, limit: usize) -> Result<Vec<Episode>, Error> {
        let newest = |client| read::newest(client, &self.damage, space, session, limit);
        self.run_idempotent("reading a session", newest).await
    }

    async fn page(
        &self,
        space: &Space,
        session: Option<&str>,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Episode>, Error> {
        let page = |client| read::page(client, &self.damage, space, session, after, limit);
        self.run_idempotent("reading a page", page).await
    }

    async fn select(&self, space: &Space, of: &EpisodesOf) -> Result<Selected, Error> {
        let ids = self.run_long("finding episodes", |client| delete::ids(client, space, of)).await?;
        Ok(Selected { ids, unreadable: 0 })
    }

    async fn delete(&self, space: &Space, ids: &[EpisodeId]) -> Result<u64, Error> {
        Ok(self.delete_with_intent(space, ids, None).await?.len() as u64)
    }

    async fn counts(&self) -> Result<Counts, Error> {
        self.run_idempotent("counting", read::counts).await
    }
}

#[async_trait]
impl VectorStore for PostgresStore {
    async fn bind_vector_space(&self, running: &str) -> Result<(), Error> {
        let bind = |client| schema::bind_vector_space(client, running);
        let stored = self.run_idempotent("binding the vector space", bind).await?;
        if stored == running {
            Ok(())
        } else {
            Err(Error::OtherVectorSpace { stored, running: running.into() })
        }
    }

    async fn vector_space(&self) -> Result<Option<String>, Error> {
        self.run_idempotent("reading the vector space", schema::vector_space).await
    }

    async fn without_vector(&self, limit: usize) -> Result<Vec<Episode>, Error> {
        let without = |client| read::without_vector(client, &self.damage, limit);
        self.run_idempotent("reading episodes without vectors", without).await
    }

    async fn set_vectors(&self, vectors: Vec<(EpisodeId, Vec<f16>)>) -> Result<(), Error> {
        self.run_idempotent("storing vectors", |client| vectors::set(client, &vectors)).await
    }
}

#[async_trait]
impl Health for PostgresStore {
    async fn probe(&self) -> Vec<HealthCheck> {
        let probe = |database| with_client(database, "probing the store", |client| self.prove(client));
        let outcome = self.connection.run_within(PROBE_WITHIN, probe).await;
        vec![HealthCheck { component: Component::Database(Database::Postgres), outcome }]
    }

    fn intact(&self) -> Result<(), Error> {
        self.damage.check()
    }
}

impl Store for PostgresStore {}

#[async_trait]
impl RecordStore for PostgresStore {
    async fn memory(&self) -> Result<String, Error> {
        self.connection.run(|database| async move { Ok(database.memory) }).await
    }

    async fn vectors(&self, ids: &[EpisodeId]) -> Result<Vec<(EpisodeId, Vec<f16>)>, Error> {
        self.run_idempotent("reading vectors", |client| vectors::of(client, ids)).await
    }

    async fn intend(&self, ids: Vec<EpisodeId>) -> Result<Intent, Error> {
        let intent = Intent::new(self.clock.now());
        self.run_idempotent("recording an intent", |client| intents::intend(client, intent, &ids)).await?;
        Ok(intent)
    }

    async fn append_intended(&self, intent: Intent, batch: Batch) -> Result<Appended, Error> {
        self.append_batch(&batch, Some(intent)).await
    }

    async fn withdraw(&self, intent: Intent) -> Result<bool, Error> {
        self.run_idempotent("withdrawing an intent", |client| intents::withdraw(client, intent)).await
    }

    async fn delete_noted(&self, space: &Space, ids: &[EpisodeId]) -> Result<Option<Orphan>, Error> {
        let intent = Intent::new(self.clock.now());
        let ids = self.delete_with_intent(space, ids, Some(intent)).await?;
        Ok((!ids.is_empty()).then_some(Orphan { intent, ids }))
    }

    async fn orphans(&self, older: Duration) -> Result<Vec<Orphan>, Error> {
        self.run_idempotent("listing orphaned episodes", |client| intents::orphans(client, older)).await
    }

    async fn clear(&self, intent: Intent) -> Result<(), Error> {
        self.run_idempotent("clearing an intent", |client| intents::clear(client, intent)).await
    }
}
