use std::time::Duration;

use memcloud_domain::{Database, EpisodeId, Error};
use memcloud_ports::DamagedRow;
use memcloud_store_connection::{Connector, Timeouts, round_trip, within};
use neo4rs::{Graph, query};

use crate::connect::Opener;
use crate::error::doing;
use crate::graph;
use crate::schema::{self, IndexState};
use crate::target::Target;

/// The limits of a plan.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Nodes.
    pub nodes: i64,
    /// Relationships.
    pub relationships: i64,
    /// The share of either from which to warn.
    pub warn_at: f64,
}

/// The limits of Aura Free, as Neo4j documents them.
pub const AURA_FREE: Room = Room { nodes: 200_000, relationships: 400_000, warn_at: 0.8 };

impl Room {
    /// The share in use: 1 at the limit.
    pub fn share(&self, nodes: i64, relationships: i64) -> f64 {
        (nodes as f64 / self.nodes as f64).max(relationships as f64 / self.relationships as f64)
    }

    /// How many more episodes fit: each takes one node and two relationships.
    pub fn episodes_left(&self, nodes: i64, relationships: i64) -> i64 {
        (self.nodes - nodes).min((self.relationships - relationships) / 2).max(0)
    }

    /// What is in use and how much is left, in words.
    pub fn usage(&self, nodes: i64, relationships: i64) -> String {
        format!(
            "{nodes} nodes and {relationships} relationships: {:.0} % of the limits of Aura Free ({} and {}), room for {} more episodes",
            self.share(nodes, relationships) * 100.0,
            self.nodes,
            self.relationships,
            self.episodes_left(nodes, relationships),
        )
    }
}

/// The state of a Neo4j.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The version of the server.
    pub version: String,
    /// Its edition.
    pub edition: String,
    /// How long a round trip takes.
    pub latency: Duration,
    /// How the connection is protected, in words.
    pub protection: String,
    /// Why it refuses writes, if it does.
    pub refuses_writes: Option<String>,
    /// How many migrations were run.
    pub schema: usize,
    /// The indexes of memories.
    pub indexes: Vec<IndexState>,
    /// Nodes in the database.
    pub nodes: i64,
    /// Relationships in the database.
    pub relationships: i64,
    /// The episodes of the memory whose contents cannot be read; `None` when not all were tried.
    pub unreadable: Option<Vec<DamagedRow<EpisodeId>>>,
}

/// How long reading all episodes may take.
const READ_ALL: Duration = Duration::from_mins(1);

/// Connects to this Neo4j and asks it for nothing. Changes nothing in it.
pub async fn reach(target: &Target) -> Result<(), Error> {
    let opener = Opener { target: target.clone() };
    within(Timeouts::default().operation, Database::Neo4j, opener.ping()).await
}

/// Opens this Neo4j and checks everything that a memory needs; of this memory also that it can be read.
pub async fn examine(target: &Target, memory: Option<&str>) -> Result<Findings, Error> {
    let inspection = async {
        let graph = Opener { target: target.clone() }.open().await?;
        let found = inspect(&graph, target).await?;
        Ok((graph, found))
    };
    let (graph, mut found) =
        within(Timeouts::default().operation, Database::Neo4j, Box::pin(inspection)).await?;
    if let Some(memory) = memory {
        let damaged = graph::damaged(&graph, memory);
        found.unreadable = tokio::time::timeout(READ_ALL, damaged).await.ok().transpose()?;
    }
    Ok(found)
}

async fn inspect(graph: &Graph, target: &Target) -> Result<Findings, Error> {
    let (version, edition) = schema::version(graph).await?;
    let (nodes, relationships) = graph::size(graph).await?;
    let refuses_writes = schema::prove_writable(graph).await.err();
    Ok(Findings {
        version,
        edition,
        latency: round_trip(async || graph.run(query("RETURN 1")).await)
            .await
            .map_err(doing("measuring the round trip to Neo4j"))?,
        protection: protection(target),
        refuses_writes: refuses_writes.map(|error| error.to_string()),
        schema: schema::steps_done(graph).await?,
        indexes: schema::indexes(graph).await?,
        nodes,
        relationships,
        unreadable: None,
    })
}

fn protection(target: &Target) -> String {
    use crate::target::Scheme::{Bolt, BoltAnyTls, BoltTls, Neo4j, Neo4jAnyTls, Neo4jTls};
    match (target.scheme, &target.authority) {
        (Bolt | Neo4j, _) => "no TLS".into(),
        (BoltAnyTls | Neo4jAnyTls, _) => "TLS with any certificate: the server is not verified".into(),
        (BoltTls | Neo4jTls, Some(file)) => format!("TLS, verified by {}", file.display()),
        (BoltTls | Neo4jTls, None) => "TLS, verified by this machine's authorities".into(),
    }
}
