//! Constraints and indexes: checked whenever the graph is opened, created if they are missing.

use memcloud_domain::{Database, DatabaseErrorKind, Error};
use neo4rs::{Graph, Query, query};
use serde::Deserialize;

use crate::error::{doing, unreadable};
use crate::graph::{row, rows};

/// The migrations, in order, each a list of statements that may run again. A released migration is never changed. The node
/// `MemCloud` counts those that were run.
const MIGRATIONS: &[&[&str]] = &[&[
    "CREATE CONSTRAINT memcloud_episode IF NOT EXISTS FOR (e:Episode) REQUIRE (e.memory, e.uid) IS UNIQUE",
    "CREATE CONSTRAINT memcloud_memory IF NOT EXISTS FOR (m:Memory) REQUIRE m.name IS UNIQUE",
    "CREATE CONSTRAINT memcloud_session IF NOT EXISTS
     FOR (s:Session) REQUIRE (s.memory, s.space, s.name) IS UNIQUE",
    "CREATE CONSTRAINT memcloud_producer IF NOT EXISTS
     FOR (p:Producer) REQUIRE (p.memory, p.space, p.name) IS UNIQUE",
    "CREATE INDEX memcloud_turn IF NOT EXISTS FOR (e:Episode) ON (e.turn)",
    // Eventually consistent: it serves operators' own Cypher, and a Lucene commit in every store would double its cost.
    "CREATE FULLTEXT INDEX memcloud_words IF NOT EXISTS FOR (e:Episode) ON EACH [e.content]
     OPTIONS {indexConfig: {`fulltext.analyzer`: 'english', `fulltext.eventually_consistent`: true}}",
]];

/// The oldest supported Neo4j: the first with `CALL (variables)` subqueries.
pub(crate) const OLDEST: (u32, u32) = (5, 23);

/// How long opening waits for indexes, in seconds. On a large graph they take longer, and continue in the background.
const AWAIT_SECONDS: i64 = 2;

/// Creates what is missing. Writes nothing if nothing is.
pub(crate) async fn prepare(graph: &Graph) -> Result<(), Error> {
    check_version(&version(graph).await?.0)?;
    let done = steps_done(graph).await?;
    if done > MIGRATIONS.len() {
        let found = format!("its schema is {done}, and this memcloud knows {}", MIGRATIONS.len());
        return Err(Error::database(Database::Neo4j, DatabaseErrorKind::Newer, found));
    }
    for (number, step) in MIGRATIONS.iter().enumerate().skip(done) {
        for statement in *step {
            create(graph, query(statement)).await?;
        }
        let taken = i64::try_from(number + 1).unwrap_or(i64::MAX);
        graph
            .run(query("MERGE (m:MemCloud) SET m.steps = $steps").param("steps", taken))
            .await
            .map_err(doing("recording the migration"))?;
        tracing::info!(step = taken, "migrated the schema in Neo4j");
    }
    if done < MIGRATIONS.len() {
        await_indexes(graph).await;
    }
    Ok(())
}

/// Creates a constraint or an index, unless another server that is starting has created it.
async fn create(graph: &Graph, statement: Query) -> Result<(), Error> {
    match graph.run(statement).await {
        Err(neo4rs::Error::Neo4j(error)) if error.code().ends_with(".EquivalentSchemaRuleAlreadyExists") => {
            Ok(())
        }
        created => created.map_err(doing("creating constraints and indexes")),
    }
}

/// The version and the edition.
pub(crate) async fn version(graph: &Graph) -> Result<(String, String), Error> {
    let components = "CALL dbms.components() YIELD name, versions, edition WHERE name = 'Neo4j Kernel'
                      RETURN versions[0] AS version, edition";
    let row = row(graph.execute_read(query(components)).await, "asking for the version").await?;
    Ok((row.get("version").map_err(unreadable)?, row.get("edition").map_err(unreadable)?))
}

fn check_version(version: &str) -> Result<(), Error> {
    let mut numbers = version.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or_default());
    let found = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if found < OLDEST {
        return Err(Error::database(
            Database::Neo4j,
            DatabaseErrorKind::TooOld,
            format!("it is Neo4j {version}"),
        ));
    }
    Ok(())
}

/// How many migrations were run.
pub(crate) async fn steps_done(graph: &Graph) -> Result<usize, Error> {
    let count = "OPTIONAL MATCH (m:MemCloud) RETURN coalesce(max(m.steps), 0) AS steps";
    let row = row(graph.execute_read(query(count)).await, "reading the schema").await?;
    Ok(usize::try_from(row.get::<i64>("steps").map_err(unreadable)?).unwrap_or_default())
}

/// Creates the vector index for vectors of this length, for operators' own Cypher, unless there is one.
pub(crate) async fn create_vector_index(graph: &Graph, dimensions: i64) -> Result<(), Error> {
    // A read-only database refuses even `IF NOT EXISTS`.
    if indexes(graph).await?.iter().any(|index| index.name == "memcloud_meaning") {
        return Ok(());
    }
    let statement = query(
        "CREATE VECTOR INDEX memcloud_meaning IF NOT EXISTS FOR (e:Episode) ON e.embedding
         OPTIONS {indexConfig: {`vector.dimensions`: $dimensions, `vector.similarity_function`: 'cosine'}}",
    );
    create(graph, statement.param("dimensions", dimensions)).await?;
    await_indexes(graph).await;
    Ok(())
}

/// Waits until the indexes are online, but not for long.
async fn await_indexes(graph: &Graph) {
    let awaited = graph.run(query("CALL db.awaitIndexes($seconds)").param("seconds", AWAIT_SECONDS)).await;
    if awaited.is_err() {
        tracing::info!("Neo4j is still building its indexes");
    }
}

/// The state of an index.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct IndexState {
    /// Its name.
    pub name: String,
    /// `ONLINE`, `POPULATING` or `FAILED`.
    pub state: String,
    /// How much of the graph is indexed, in percent.
    pub percent: f64,
}

/// The indexes of a memory.
pub(crate) async fn indexes(graph: &Graph) -> Result<Vec<IndexState>, Error> {
    let show =
        "SHOW INDEXES YIELD name, state, populationPercent AS percent WHERE name STARTS WITH 'memcloud_'
                RETURN name, state, percent ORDER BY name";
    let rows = rows(graph.execute_read(query(show)).await, "listing the indexes").await?;
    rows.iter().map(|row| row.to().map_err(unreadable)).collect()
}

/// Proves that the graph can be written: creates a node and rolls it back.
pub(crate) async fn prove_writable(graph: &Graph) -> Result<(), Error> {
    let prove = async {
        let mut tx = graph.start_txn().await?;
        tx.run(query("CREATE (:MemCloud)")).await?;
        tx.rollback().await
    };
    prove.await.map_err(doing("probing the graph"))
}
