//! Opens sessions: a pool of connections with everything in the database that operations rely on.

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
/// The most rows that one message asks for: a page of a listing.
const FETCH: usize = 1_000;

/// Opens sessions with one Neo4j.
pub(crate) struct Opener {
    pub(crate) target: Target,
}

#[async_trait]
impl Connector for Opener {
    type Session = Graph;

    fn database(&self) -> Database {
        Database::Neo4j
    }

    async fn ping(&self) -> Result<(), Error> {
        connect(&self.target)?.run(query("RETURN 1")).await.map_err(doing("looking at Neo4j"))
    }

    async fn open(&self) -> Result<Graph, Error> {
        let graph = connect(&self.target)?;
        schema::prepare(&graph).await?;
        graph::plan(&graph).await;
        Ok(graph)
    }
}

/// A pool of connections, none of them made yet.
fn connect(target: &Target) -> Result<Graph, Error> {
    // Longer than the link waits, which knows better when to give up.
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
        // Its name says otherwise, but this is the authority that servers are checked by.
        config = config.with_client_certificate(authority);
    }
    config.build().and_then(Graph::connect).map_err(doing("opening the connection to Neo4j"))
}
