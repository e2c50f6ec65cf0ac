//! What people see who look at a memory with Neo4j's own browser and their own Cypher.

use std::sync::Arc;

use memcloud_domain::{EpisodeId, NewEpisode, Space, Timestamp};
use memcloud_memory::{Memory, SessionMembers, StoreRequest};
use memcloud_ports::{ContentLocation, EpisodeStore, EpisodesOf, delete_all};
use memcloud_store_neo4j::GraphStore;
use memcloud_store_sqlite::SqliteStore;
use memcloud_store_tests::{clock, memory::memory, said, space};
use memcloud_test_servers::SharedNeo4j;
use neo4rs::{Graph, Query, query};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::graph;

/// A memory of the test's own, and a look into the graph.
struct Picture {
    memory: Memory,
    store: Arc<GraphStore>,
    cypher: Graph,
    name: String,
    space: Space,
    records: TempDir,
}

impl Picture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let records =
            Arc::new(SqliteStore::open_for(directory.path(), clock(), ContentLocation::Graph).await.unwrap());
        let name = memcloud_ports::RecordStore::memory(records.as_ref()).await.unwrap();
        let store = Arc::new(GraphStore::open(graph(), records).await);
        let server = SharedNeo4j::from_environment();
        let cypher = Graph::new(server.uri(), server.user(), server.password()).unwrap();
        let memory = memory(Arc::clone(&store).engine()).await;
        Self { memory, store, cypher, name, space: space("a/picture"), records: directory }
    }

    /// Stores turns of a session that happened at these minutes.
    async fn tell(&self, session: &str, minutes: &[i64]) -> Vec<EpisodeId> {
        let episodes = minutes.iter().map(|minute| NewEpisode {
            created_at: Timestamp::from_micros(1_700_000_000_000_000 + minute * 60_000_000),
            ..said(
                session,
                ["ann", "bob"][usize::try_from(minute.rem_euclid(2)).unwrap()],
                &format!("turn {minute}"),
            )
        });
        let request = StoreRequest {
            space: self.space.clone(),
            members: vec![SessionMembers { session: session.into(), members: vec![] }],
            episodes: episodes.collect(),
            idempotency_key: None,
        };
        self.memory.store(request.checked(self.memory.limits()).unwrap()).await.unwrap().ids
    }

    async fn forget(&self, ids: Vec<EpisodeId>) {
        self.memory.engine().episodes.delete(&self.space, &ids).await.unwrap();
    }

    fn ask(&self, cypher: &str) -> Query {
        query(cypher).param("memory", self.name.as_str())
    }

    async fn texts(&self, cypher: &str) -> Vec<String> {
        let mut rows = self.cypher.execute(self.ask(cypher)).await.unwrap();
        let mut texts = Vec::new();
        while let Some(row) = rows.next().await.unwrap() {
            texts.push(row.get("text").unwrap());
        }
        texts
    }

    async fn number(&self, cypher: &str) -> i64 {
        self.cypher.execute(self.ask(cypher)).await.unwrap().single().await.unwrap().get("number").unwrap()
    }

    /// The contents of a session along its path, from where it begins to its end.
    async fn path(&self, session: &str) -> Vec<String> {
        let cypher = "MATCH (s:Session {memory: $memory, name: $session})-[:BEGINS]->(first)
                      MATCH path = (first)-[:NEXT*0..]->(last) WHERE NOT (last)-[:NEXT]->()
                      UNWIND nodes(path) AS turn RETURN turn.content AS text";
        let mut rows = self.cypher.execute(self.ask(cypher).param("session", session)).await.unwrap();
        let mut texts = Vec::new();
        while let Some(row) = rows.next().await.unwrap() {
            texts.push(row.get("text").unwrap());
        }
        texts
    }

    /// Every turn but the first has one turn before it, and there are no other links.
    async fn is_sound(&self) {
        for (what, cypher) in [
            ("turns that are not linked once", "MATCH (e:Episode {memory: $memory})
              WHERE COUNT { ()-[:NEXT|BEGINS]->(e) } <> 1 OR COUNT { (e)-[:NEXT]->() } > 1 OR COUNT { ()-[:SAID]->(e) } <> 1
              RETURN count(e) AS number"),
            ("links between conversations", "MATCH (a:Episode {memory: $memory})-[:NEXT]->(b)
              WHERE a.session <> b.session OR a.turn >= b.turn RETURN count(*) AS number"),
            ("sessions without turns", "MATCH (s:Session {memory: $memory})
              WHERE COUNT { (s)-[:BEGINS]->() } <> 1 RETURN count(s) AS number"),
            ("producers who said nothing", "MATCH (p:Producer {memory: $memory})
              WHERE NOT (p)-[:SAID]->() RETURN count(p) AS number"),
        ] {
            assert_eq!(self.number(cypher).await, 0, "{what}");
        }
    }
}

fn turns(minutes: impl IntoIterator<Item = i64>) -> Vec<String> {
    minutes.into_iter().map(|minute| format!("turn {minute}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_is_left_in_any_node() {
    let picture = Picture::new().await;
    let holds = async |name: &str| {
        let find = "MATCH (n) WHERE coalesce(n.memory, n.name) = $memory
                      AND any(key IN keys(n) WHERE toStringOrNull(n[key]) CONTAINS $text)
                    RETURN count(n) AS number";
        let mut rows = picture.cypher.execute(picture.ask(find).param("text", name)).await.unwrap();
        let in_graph: i64 = rows.next().await.unwrap().unwrap().get("number").unwrap();
        let in_records = std::fs::read_dir(picture.records.path()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            bytes.windows(name.len()).any(|window| window == name.as_bytes())
        });
        in_graph > 0 || in_records
    };
    memcloud_store_tests::erasure::no_name_is_left(Arc::clone(&picture.store).engine(), holds).await;
}

/// A conversation is a path in the order in which it happened, in whatever order it was stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_is_a_path() {
    let picture = Picture::new().await;
    picture.tell("s", &[5, 6, 7]).await;
    picture.tell("s", &[1]).await;
    picture.tell("s", &[9, 3, 6, 2, -4]).await;
    picture.tell("t", &[4]).await;
    assert_eq!(picture.path("s").await, turns([-4, 1, 2, 3, 5, 6, 6, 7, 9]));
    assert_eq!(picture.path("t").await, turns([4]));
    picture.is_sound().await;
    let said = "MATCH (p:Producer {memory: $memory})-[:SAID]->(e) WITH p.name AS name, count(e) AS turns
                RETURN name + ' ' + toString(turns) AS text ORDER BY text";
    assert_eq!(picture.texts(said).await, ["ann 5", "bob 5"]);
    // One node and two relationships a memory, in addition to sessions and producers: what Aura Free counts.
    let nodes = picture.number("MATCH (n {memory: $memory}) RETURN count(n) AS number").await;
    let links = picture.number("MATCH ({memory: $memory})-[r]->() RETURN count(r) AS number").await;
    assert_eq!((nodes, links), (10 + 2 + 2, 2 * 10));
}

/// What is deleted leaves no gap and nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_turn_leaves_no_gap() {
    let picture = Picture::new().await;
    let ids = picture.tell("s", &(0..10).collect::<Vec<_>>()).await;
    let other = picture.tell("t", &[1, 2]).await;
    picture.forget(vec![ids[4]]).await;
    picture.forget(vec![ids[0], ids[9]]).await;
    picture.forget(vec![ids[5], ids[6], ids[2]]).await;
    assert_eq!(picture.path("s").await, turns([1, 3, 7, 8]));
    picture.is_sound().await;
    delete_all(&*picture.memory.engine().episodes, &picture.space, &EpisodesOf::Session("s".into()))
        .await
        .unwrap();
    picture.is_sound().await;
    assert_eq!(picture.number("MATCH (n {memory: $memory}) RETURN count(n) AS number").await, 5);
    picture.forget(other).await;
    assert_eq!(picture.number("MATCH (n {memory: $memory}) RETURN count(n) AS number").await, 0);
    picture.tell("s", &[1]).await;
    assert_eq!(picture.path("s").await, turns([1]));
}

/// Many tell the same session at once, and it is one path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_of_a_session_make_one_path() {
    let picture = Arc::new(Picture::new().await);
    let tellers: Vec<_> = (0..8)
        .map(|teller| {
            let picture = Arc::clone(&picture);
            tokio::spawn(async move {
                for n in 0..6 {
                    let ids = picture.tell("s", &[(n * 8 + teller) * 7 % 48]).await;
                    if n % 3 == 2 {
                        picture.forget(ids).await;
                    }
                }
            })
        })
        .collect();
    for teller in tellers {
        teller.await.unwrap();
    }
    picture.is_sound().await;
    assert_eq!(picture.path("s").await.len(), 32);
}

/// The indexes are online, and find by words and by meaning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_can_read_turns_with_their_own_cypher() {
    let picture = Picture::new().await;
    picture.tell("s", &[1, 2, 3]).await;
    let found = memcloud_store_neo4j::examine(&graph(), None).await.unwrap();
    let names: Vec<&str> = found.indexes.iter().map(|index| index.name.as_str()).collect();
    for wanted in ["memcloud_episode", "memcloud_meaning", "memcloud_turn", "memcloud_words"] {
        assert!(names.contains(&wanted), "{names:?}");
    }
    assert!(found.indexes.iter().all(|index| index.state == "ONLINE"), "{:?}", found.indexes);
    picture.store.settle().await.unwrap();
    assert_eq!(picture.number("MATCH (e:Unembedded {memory: $memory}) RETURN count(e) AS number").await, 0);
    let embedded =
        "MATCH (e:Episode {memory: $memory}) WHERE size(e.embedding) = 64 RETURN count(e) AS number";
    assert_eq!(picture.number(embedded).await, 3);
    // The index over words is a moment behind the graph.
    let words = "CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()
                 CALL db.index.fulltext.queryNodes('memcloud_words', 'turn') YIELD node
                 WITH node WHERE node.memory = $memory RETURN count(node) AS number";
    assert_eq!(picture.number(words).await, 3);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    /// Whatever is stored and deleted, in batches of any size: the path is the conversation in its order.
    #[test]
    fn any_story_is_a_path(batches in prop::collection::vec((prop::collection::vec(-50..50i64, 1..12), any::<u8>()), 1..6)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let picture = Picture::new().await;
            let mut there: Vec<(i64, EpisodeId)> = Vec::new();
            for (minutes, forgotten) in batches {
                there.extend(minutes.iter().copied().zip(picture.tell("s", &minutes).await));
                let gone: Vec<EpisodeId> = there.iter().map(|(_, id)| *id).skip(1).step_by(2 + usize::from(forgotten % 5)).collect();
                picture.forget(gone.clone()).await;
                there.retain(|(_, id)| !gone.contains(id));
            }
            there.sort_unstable();
            assert_eq!(picture.path("s").await, turns(there.iter().map(|(minute, _)| *minute)));
            picture.is_sound().await;
            let kept = picture.store.page(&picture.space, Some("s"), None, 1_000).await.unwrap();
            assert_eq!(kept.iter().map(|e| e.id).collect::<Vec<_>>(), there.iter().map(|(_, id)| *id).collect::<Vec<_>>());
        });
    }
}
