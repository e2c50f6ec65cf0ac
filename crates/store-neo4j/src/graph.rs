//! The queries of the graph. Each may run twice, so the driver and the connection may retry.

use std::collections::HashMap;

use half::f16;
use memcloud_domain::{EpisodeId, Error, Metadata};
use memcloud_ports::{Damage, DamagedRow, READ_BYTES};
use neo4rs::{BoltType, DetachedRowStream, Graph, Query, Row, query};

use crate::error::{doing, unreadable};
use crate::node::{EpisodeNode, map, numbers, parameter, space_name};

/// How many episodes one transaction writes or removes: few enough to end within the timeout of an operation.
pub(crate) const STEP: usize = 200;

/// After this time no caller waits for a transaction any more, and the server ends it. In milliseconds.
const TRANSACTION_MILLIS: i64 = 6_000;

/// The part of an episode that only the graph keeps.
pub(crate) struct Content {
    pub(crate) content: String,
    pub(crate) metadata: Metadata,
}

/// Writes episodes of one space, each linked to its neighbors in its conversation.
pub(crate) async fn put(graph: Graph, memory: &str, nodes: &[EpisodeNode<'_>]) -> Result<(), Error> {
    let Some(first) = nodes.first() else { return Ok(()) };
    let space = space_name(&first.episode.space);
    let turns: Vec<BoltType> = nodes.iter().map(|node| parameter(memory, *node)).collect();
    let put = write(include_str!("cypher/put.cypher"))
        .param("memory", memory)
        .param("space", space)
        .param("turns", turns);
    graph.run(put).await.map_err(doing("writing episodes to the graph"))
}

/// Lets Neo4j plan the queries of stores and searches. Just after Neo4j has started, planning takes seconds, which no
/// request should have to wait.
pub(crate) async fn plan(graph: &Graph) {
    let none = Vec::<BoltType>::new;
    let put = write(include_str!("cypher/put.cypher"))
        .param("memory", "")
        .param("space", "")
        .param("turns", none());
    let read = query(include_str!("cypher/contents.cypher"))
        .param("memory", "")
        .param("uids", none())
        .param("bytes", 0);
    for planned in [put, read] {
        if let Err(error) = graph.run(planned).await {
            // A read-only database cannot plan a write, but can be read.
            tracing::debug!(%error, "cannot plan a query in Neo4j");
        }
    }
}

/// Removes episodes. Unknown ids are not an error.
pub(crate) async fn remove(graph: Graph, memory: &str, ids: &[EpisodeId]) -> Result<(), Error> {
    let remove =
        write(include_str!("cypher/remove.cypher")).param("memory", memory).param("uids", texts(ids));
    graph.run(remove).await.map_err(doing("removing episodes from the graph"))
}

/// The contents of those of these episodes that are in the graph; only of the first ones when they are large together.
/// Those that cannot be read are noted, and left out.
pub(crate) async fn contents(
    graph: Graph,
    memory: &str,
    ids: &[EpisodeId],
    damage: &Damage<EpisodeId>,
) -> Result<HashMap<EpisodeId, Content>, Error> {
    let bytes = i64::try_from(READ_BYTES).unwrap_or(i64::MAX);
    let read = query(include_str!("cypher/contents.cypher"))
        .param("memory", memory)
        .param("uids", texts(ids))
        .param("bytes", bytes);
    let mut contents = HashMap::with_capacity(ids.len());
    for row in rows(graph.execute(read).await, "reading episodes from the graph").await? {
        let id: EpisodeId = row.get::<&str>("uid").map_err(unreadable)?.parse()?;
        match content(&row) {
            Some(content) => drop(contents.insert(id, content)),
            None => damage.note_row(DamagedRow::Episode(id)),
        }
    }
    Ok(contents)
}

/// `None` if it cannot be read.
fn content(row: &Row) -> Option<Content> {
    let metadata = serde_json::from_str(row.get("metadata").ok()?).ok()?;
    Some(Content { content: row.get("content").ok()?, metadata })
}

/// The episodes of a memory whose contents cannot be read. Reads each, which may take long.
pub(crate) async fn damaged(graph: &Graph, memory: &str) -> Result<Vec<DamagedRow<EpisodeId>>, Error> {
    const DOING: &str = "reading all episodes of the graph";
    let all = "MATCH (e:Episode) WHERE e.memory = $memory
               RETURN e.uid AS uid, e.content AS content, e.metadata AS metadata";
    let mut rows = graph.execute(query(all).param("memory", memory)).await.map_err(doing(DOING))?;
    let mut damaged = Vec::new();
    while let Some(row) = rows.next().await.map_err(doing(DOING))? {
        if content(&row).is_none() {
            let id: EpisodeId = row.get::<&str>("uid").map_err(unreadable)?.parse()?;
            damaged.push(DamagedRow::Episode(id));
        }
    }
    Ok(damaged)
}

/// Those of these episodes that are not in the graph any more.
pub(crate) async fn gone(graph: &Graph, memory: &str, ids: &[EpisodeId]) -> Result<Vec<EpisodeId>, Error> {
    let find = "UNWIND $uids AS uid
                WITH uid WHERE NOT EXISTS { (:Episode {memory: $memory, uid: uid}) } RETURN uid";
    let find = query(find).param("memory", memory).param("uids", texts(ids));
    let rows = rows(graph.execute(find).await, "looking for damaged episodes").await?;
    rows.iter().map(|row| Ok(row.get::<&str>("uid").map_err(unreadable)?.parse()?)).collect()
}

/// Some episodes that have no embedding yet.
pub(crate) async fn unembedded(graph: Graph, memory: &str) -> Result<Vec<EpisodeId>, Error> {
    let most = i64::try_from(STEP).unwrap_or(i64::MAX);
    let read = query(include_str!("cypher/unembedded.cypher")).param("memory", memory).param("most", most);
    let rows = rows(graph.execute(read).await, "finding episodes without embeddings").await?;
    rows.iter().map(|row| Ok(row.get::<&str>("uid").map_err(unreadable)?.parse()?)).collect()
}

/// Writes the embeddings of episodes.
pub(crate) async fn embed(
    graph: Graph,
    memory: &str,
    vectors: &[(EpisodeId, Vec<f16>)],
) -> Result<(), Error> {
    let vectors: Vec<BoltType> = vectors
        .iter()
        .map(|(id, vector)| {
            BoltType::Map(map([("uid", id.to_string().into()), ("embedding", numbers(vector))]))
        })
        .collect();
    let embed = write(include_str!("cypher/embed.cypher")).param("memory", memory).param("vectors", vectors);
    graph.run(embed).await.map_err(doing("writing embeddings to the graph"))
}

/// Whether the graph holds this memory: it has a node for it since its first episode. A `fresh` memory begins in any graph.
pub(crate) async fn knows(graph: Graph, memory: &str, fresh: bool) -> Result<bool, Error> {
    let find = query("MATCH (m:Memory {name: $memory}) RETURN count(m) AS known").param("memory", memory);
    let row = row(graph.execute(find).await, "finding the memory in the graph").await?;
    let known = row.get::<i64>("known").map_err(unreadable)?;
    if known > 0 || !fresh {
        return Ok(known > 0);
    }
    let begin = write("MERGE (m:Memory {name: $memory})").param("memory", memory);
    graph.run(begin).await.map_err(doing("creating the memory in the graph"))?;
    Ok(true)
}

/// How many nodes and relationships the whole database has.
pub(crate) async fn size(graph: &Graph) -> Result<(i64, i64), Error> {
    // Neo4j answers both from its count store.
    let count = "CALL () { MATCH (n) RETURN count(n) AS nodes }
                 CALL () { MATCH ()-[r]->() RETURN count(r) AS relationships }
                 RETURN nodes, relationships";
    let row = row(graph.execute_read(query(count)).await, "counting the graph").await?;
    Ok((row.get("nodes").map_err(unreadable)?, row.get("relationships").map_err(unreadable)?))
}

type Answer = neo4rs::Result<DetachedRowStream>;

/// The rows of an answer.
pub(crate) async fn rows(answer: Answer, purpose: &'static str) -> Result<Vec<Row>, Error> {
    let mut answer = answer.map_err(doing(purpose))?;
    let mut rows = Vec::new();
    while let Some(row) = answer.next().await.map_err(doing(purpose))? {
        rows.push(row);
    }
    Ok(rows)
}

/// The only row of an answer.
pub(crate) async fn row(answer: Answer, purpose: &'static str) -> Result<Row, Error> {
    answer.map_err(doing(purpose))?.single().await.map_err(doing(purpose))
}

fn write(cypher: &str) -> Query {
    query(cypher).extra("tx_timeout", TRANSACTION_MILLIS)
}

fn texts(ids: &[EpisodeId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}
