//! The engines of an instance.

use std::path::Path;
use std::sync::Arc;

use memcloud_domain::with_causes;
use memcloud_ports::{ContentLocation, Engine, RecordStore};
use memcloud_store_neo4j::GraphStore;
use memcloud_store_postgres::PostgresStore;
use memcloud_store_sqlite::SqliteStore;

use crate::failure::Failure;
use crate::hint::hint;

/// The databases of an instance. Without any it keeps everything in its data directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Engines {
    /// Where the episodes are, if not with the records.
    pub(crate) graph: Option<memcloud_store_neo4j::Target>,
    /// Where the records are, if not in the data directory.
    pub(crate) postgres: Option<memcloud_store_postgres::Target>,
}

impl Engines {
    /// Opens the store. Databases that cannot be reached now are tried again by the store itself.
    pub(crate) async fn open(&self, data_dir: &Path) -> Result<Engine, Failure> {
        let Some(graph) = &self.graph else {
            return Ok(match &self.postgres {
                Some(target) => Engine::of(Arc::new(PostgresStore::open(target.clone()).await)),
                None => {
                    Engine::of(Arc::new(SqliteStore::open(data_dir).await.map_err(|error| opening(&error))?))
                }
            });
        };
        let records: Arc<dyn RecordStore> = match &self.postgres {
            Some(target) => Arc::new(PostgresStore::open_records(target.clone()).await),
            None => Arc::new(SqliteStore::open_records(data_dir).await.map_err(|error| opening(&error))?),
        };
        Ok(Arc::new(GraphStore::open(graph.clone(), records).await).engine())
    }

    /// Where the content of the episodes is that the records tell of.
    pub(crate) fn home(&self) -> ContentLocation {
        if self.graph.is_some() { ContentLocation::Graph } else { ContentLocation::Records }
    }

    /// Where things are, in words.
    pub(crate) fn told(&self, data_dir: &Path) -> String {
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

/// Why the data could not be opened, in the words of someone who starts a server.
fn opening(error: &memcloud_domain::Error) -> Failure {
    let hint = match error {
        memcloud_domain::Error::Storage { .. } => "check the data directory; nothing in it was changed",
        other => hint(other),
    };
    Failure::new(with_causes(error), hint)
}
