use std::time::Duration;

use memcloud_domain::{Database, Error};
use memcloud_store_connection::{Connector, Timeouts, round_trip, within};
use neo4rs::{Graph, query};

use crate::connect::Opener;
use crate::error::doing;
use crate::graph;
use crate::schema::{self, IndexState};
use crate::target::Target;

/// What a plan has room for.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Nodes.
    pub nodes: i64,
    /// Relationships.
    pub relationships: i64,
    /// The share of either at which it is time to warn.
    pub warn_at: f64,
}

/// What Aura Free has room for, as Neo4j says of it.
pub const AURA_FREE: Room = Room { nodes: 200_000, relationships: 400_000, warn_at: 0.8 };

impl Room {
    /// How much of it is taken, from 0 to 1 and beyond.
    pub fn share(&self, nodes: i64, relationships: i64) -> f64 {
        (nodes as f64 / self.nodes as f64).max(relationships as f64 / self.relationships as f64)
    }

    /// How many more memories fit: each takes a node and two relationships.
    pub fn memories_left(&self, nodes: i64, relationships: i64) -> i64 {
        (self.nodes - nodes).min((self.relationships - relationships) / 2).max(0)
    }

    /// The same in words.
    pub fn told(&self, nodes: i64, relationships: i64) -> String {
        format!(
            "{nodes} nodes and {relationships} relationships: {:.0} % of what Aura Free holds ({} and {}), room for {} more memories",
            self.share(nodes, relationships) * 100.0,
            self.nodes,
            self.relationships,
            self.memories_left(nodes, relationships),
        )
    }
}

/// What was found of a Neo4j.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The version of the server.
    pub version: String,
    /// Its edition.
    pub edition: String,
    /// How long a question and its answer take.
    pub latency: Duration,
    /// How the way there is protected, in words.
    pub protection: String,
    /// Why it takes no writes, if it does not.
    pub refuses_writes: Option<String>,
    /// The step that the schema is at.
    pub schema: usize,
    /// The indexes of memories.
    pub indexes: Vec<IndexState>,
    /// Nodes in the database.
    pub nodes: i64,
    /// Relationships in the database.
    pub relationships: i64,
}

/// Opens a connection to this Neo4j and looks at all that a memory needs.
pub async fn examine(target: &Target) -> Result<Findings, Error> {
    let looked = async {
        let graph = Opener { target: target.clone() }.open().await?;
        look(&graph, target).await
    };
    within(Timeouts::default().operation, Database::Neo4j, Box::pin(looked)).await
}

async fn look(graph: &Graph, target: &Target) -> Result<Findings, Error> {
    let (version, edition) = schema::version(graph).await?;
    let (nodes, relationships) = graph::size(graph).await?;
    let refuses_writes = schema::prove_writable(graph).await.err();
    Ok(Findings {
        version,
        edition,
        latency: round_trip(async || graph.run(query("RETURN 1")).await)
            .await
            .map_err(doing("measuring the way to Neo4j"))?,
        protection: protection(target),
        refuses_writes: refuses_writes.map(|error| error.to_string()),
        schema: schema::steps_done(graph).await?,
        indexes: schema::indexes(graph).await?,
        nodes,
        relationships,
    })
}

fn protection(target: &Target) -> String {
    use crate::target::Scheme::{Bolt, BoltAnyTls, BoltTls, Neo4j, Neo4jAnyTls, Neo4jTls};
    match (target.scheme, &target.authority) {
        (Bolt | Neo4j, _) => "no TLS".into(),
        (BoltAnyTls | Neo4jAnyTls, _) => "TLS with any certificate: nobody knows who answers".into(),
        (BoltTls | Neo4jTls, Some(file)) => format!("TLS, verified by {}", file.display()),
        (BoltTls | Neo4jTls, None) => "TLS, verified by this machine's authorities".into(),
    }
}
