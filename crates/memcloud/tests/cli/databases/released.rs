//! Databases that the released binary filled are opened by this one and answer the same.

use memcloud_test_servers::{Neo4j, SharedPostgres};
use neo4rs::{BoltMap, BoltType, Graph, query};
use serde::Deserialize;
use serde_json::Value;

use super::harness::{OWN_NEO4J, Settings};
use crate::home::Home;
use crate::released::{answers_the_same, text, used_today};

/// A part of the released graph.
#[derive(Deserialize)]
struct Statement {
    cypher: String,
    #[serde(default)]
    rows: Vec<Value>,
}

#[tokio::test]
async fn the_released_postgres_answers_the_same() {
    let (home, database) = (Home::new(), SharedPostgres::from_environment().create_database());
    database.execute(&text("postgres.sql"));
    database.execute(&used_today("memcloud."));
    let settings = Settings::default().shared_postgres(&database);
    answers_the_same("postgres", || {
        let mut command = home.memcloud();
        settings.apply(&mut command);
        command
    })
    .await;
}

/// The graph is loaded into a Neo4j of its own: in the shared one, other tests have brought the schema further.
#[tokio::test]
async fn the_released_neo4j_with_postgres_answers_the_same() {
    let _alone = OWN_NEO4J.lock().await;
    let (home, database) = (Home::new(), SharedPostgres::from_environment().create_database());
    database.execute(&text("neo4j/records.sql"));
    database.execute(&used_today("memcloud."));
    let server = Neo4j::start();
    let graph = Graph::new(server.uri("bolt"), server.user(), server.password()).unwrap();
    let statements: Vec<Statement> = serde_json::from_str(&text("neo4j/graph.json")).unwrap();
    for Statement { cypher, rows } in &statements {
        let rows: Vec<BoltType> = rows.iter().map(bolt).collect();
        let loaded = graph.run(query(cypher).param("rows", rows)).await;
        loaded.unwrap_or_else(|error| panic!("{error}: {cypher}"));
    }
    let settings = Settings::default().shared_postgres(&database).neo4j(&server);
    answers_the_same("neo4j", || {
        let mut command = home.memcloud();
        settings.apply(&mut command);
        command
    })
    .await;
}

/// A value as a parameter of Cypher.
fn bolt(value: &Value) -> BoltType {
    match value {
        Value::Null => panic!("the graph holds no null"),
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(bolt).collect::<Vec<_>>().into(),
        Value::Object(fields) => {
            let entries = fields.iter().map(|(name, value)| (name.as_str().into(), bolt(value)));
            BoltType::Map(BoltMap { value: entries.collect() })
        }
    }
}
