//! The engines that keep a memory, and the targets and checks of their databases.

use std::path::Path;
use std::sync::Arc;

use memcloud_domain::SystemClock;
use memcloud_ports::{ContentLocation, Engine, RecordStore};
use memcloud_store_neo4j::GraphStore;
use memcloud_store_postgres::PostgresStore;
use memcloud_store_sqlite::SqliteStore;

use crate::config::Engines;
use crate::error::Error;

pub use memcloud_store_neo4j as neo4j;
pub use memcloud_store_postgres as postgres;
pub use memcloud_store_sqlite as sqlite;
pub use memcloud_store_sqlite::holds_memory;

impl Engines {
    /// Opens the engine. A database that is down now is connected to later, by the engine itself.
    pub async fn open(&self, data_dir: &Path) -> Result<Engine, Error> {
        let (clock, content) = (Arc::new(SystemClock), self.content_location());
        let records: Arc<dyn RecordStore> = match &self.postgres {
            Some(target) => Arc::new(PostgresStore::open_for(target.clone(), clock, content).await),
            None => Arc::new(SqliteStore::open_for(data_dir, clock, content).await.map_err(Error::Data)?),
        };
        Ok(match &self.graph {
            Some(graph) => Arc::new(GraphStore::open(graph.clone(), records).await).engine(),
            None => Engine::of(records),
        })
    }

    /// Opens the engine of an instance that is not running, if it has one: a data directory must hold a memory already.
    /// `None` where a server has it open.
    pub async fn open_existing(&self, data_dir: &Path) -> Option<Engine> {
        if self.postgres.is_none() && !holds_memory(data_dir) {
            return None;
        }
        self.open(data_dir).await.ok()
    }

    /// Whether the engine may hold keys. A data directory without a memory cannot; a database may.
    pub(crate) fn may_hold_keys(&self, data_dir: &Path) -> bool {
        self.postgres.is_some() || holds_memory(data_dir)
    }

    /// Opens the store of the data directory alone, which holds everything or only the records.
    pub async fn open_local(&self, data_dir: &Path) -> Result<Engine, memcloud_domain::Error> {
        let store = SqliteStore::open_for(data_dir, Arc::new(SystemClock), self.content_location()).await?;
        Ok(Engine::of(Arc::new(store)))
    }

    /// Where the content of episodes is.
    pub fn content_location(&self) -> ContentLocation {
        if self.graph.is_some() { ContentLocation::Graph } else { ContentLocation::Records }
    }

    /// Where the memory is kept, in one line.
    pub fn summary(&self, data_dir: &Path) -> String {
        let records = match &self.postgres {
            Some(target) => format!("PostgreSQL at {}", target.place()),
            None => data_dir.display().to_string(),
        };
        match &self.graph {
            Some(graph) => format!("episodes in Neo4j at {}, records in {records}", graph.place()),
            None => records,
        }
    }
}

/// Opens the memory in a data directory, or creates one there.
pub async fn open_directory(data_dir: &Path) -> Result<Engine, Error> {
    let store = SqliteStore::open(data_dir, Arc::new(SystemClock)).await.map_err(Error::Data)?;
    Ok(Engine::of(Arc::new(store)))
}
