//! Opens the graph: a connection pool, over a schema that is up to date.

use std::time::Duration;

use async_trait::async_trait;
use memcloud_domain::{Database, DatabaseErrorKind, Error};
use memcloud_store_connection::{Connector, Timeouts};
use neo4rs::{ConfigBuilder, Graph, query};
use secrecy::ExposeSecret;

use crate::error::doing;
use crate::target::Target;
use crate::{graph, schema};

/// The most connections of one server.
const CONNECTIONS: usize = 8;
/// The most rows in one message: a page of a listing.
const FETCH: usize = 1_000;

/// Opens one Neo4j.
pub(crate) struct Opener {
    pub(crate) target: Target,
}

#[async_trait]
impl Connector for Opener {
    type Client = Graph;

    fn database(&self) -> Database {
        Database::Neo4j
    }

    async fn ping(&self) -> Result<(), Error> {
        connect(&self.target)?.run(query("RETURN 1")).await.map_err(doing("pinging Neo4j"))
    }

    async fn open(&self) -> Result<Graph, Error> {
        let graph = connect(&self.target)?;
        schema::prepare(&graph).await?;
        graph::plan(&graph).await;
        Ok(graph)
    }
}

/// A connection pool without connections.
fn connect(target: &Target) -> Result<Graph, Error> {
    // Longer than `Connection` waits, which decides when to give up.
    let timeout = Timeouts::default().operation + Duration::from_secs(1);
    let mut config = ConfigBuilder::new()
        .uri(target.place())
        .user(target.user.clone())
        .password(target.password.expose_secret())
        .max_connections(CONNECTIONS)
        .fetch_size(FETCH)
        .connection_timeout(timeout)
        .tcp_keepalive(Duration::from_secs(30));
    if let Some(authority) = target.authority.as_ref().filter(|_| target.scheme.verifies()) {
        std::fs::read(authority).map_err(|error| {
            let why = format!("{}: {error}", authority.display());
            Error::database(Database::Neo4j, DatabaseErrorKind::Untrusted, why)
        })?;
        // Despite its name, this sets the authority that verifies servers.
        config = config.with_client_certificate(authority);
    }
    config.build().and_then(Graph::connect).map_err(doing("opening the connection to Neo4j"))
}
